import { formatLsn, type Lsn, parseLsn } from '@understudy/core/cluster';
import type { Connection, Row } from './connection.ts';

/** A replication slot (pg_replication_slots). */
export interface Slot {
  readonly name: string;
  readonly kind: 'physical' | 'logical';
  readonly active: boolean;
  readonly restartLsn: Lsn | null;
  /** reserved, extended, unreserved or lost; null before the first reservation. */
  readonly walStatus: string | null;
  /** A logical slot that is to survive a failover (PostgreSQL 17+). */
  readonly failover: boolean;
  /** A logical slot that is a copy of the primary's (PostgreSQL 17+). */
  readonly synced: boolean;
}

export function slotsQuery(major: number): string {
  const failover = major >= 17 ? 'failover, synced' : 'false AS failover, false AS synced';
  return `SELECT slot_name, slot_type, active, restart_lsn, wal_status, ${failover} FROM pg_catalog.pg_replication_slots WHERE NOT temporary ORDER BY slot_name LIMIT 200`;
}

export function readSlots(rows: readonly Row[]): readonly Slot[] {
  return rows.map(row => ({
    name: row['slot_name'] ?? '',
    kind: row['slot_type'] === 'logical' ? 'logical' : 'physical',
    active: row['active'] === 't',
    restartLsn: row['restart_lsn'] == null ? null : parseLsn(row['restart_lsn']),
    walStatus: row['wal_status'] ?? null,
    failover: row['failover'] === 't',
    synced: row['synced'] === 't',
  }));
}

const SLOT_NAME = /^[a-z0-9_]{1,63}$/;

function literal(name: string): string {
  if (!SLOT_NAME.test(name)) throw new RangeError(`not a slot name: ${JSON.stringify(name)}`);
  return `'${name}'`;
}

/**
 * Makes a physical slot that holds WAL from now on; nothing happens when it is there already, or somebody makes it at the same moment (a replica
 * that clones, and the primary that keeps a slot for it). One that has lost its WAL is made anew.
 */
export async function ensureSlot(connection: Connection, name: string): Promise<void> {
  const slot = literal(name);
  const isThere = `SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = ${slot}`;
  try {
    await connection.query(
      `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = ${slot} AND wal_status = 'lost' AND NOT active;
       SELECT pg_catalog.pg_create_physical_replication_slot(${slot}, true) WHERE NOT EXISTS (${isThere})`,
    );
  } catch (error) {
    const [rows] = await connection.query(isThere);
    if (rows?.length !== 1) throw error;
  }
}

/** Moves a physical slot that nobody uses forward, so that it does not hold WAL that its member has already; never backward. */
export async function advanceSlot(connection: Connection, name: string, to: Lsn): Promise<void> {
  const slot = literal(name);
  const lsn = `'${formatLsn(to)}'::pg_catalog.pg_lsn`;
  await connection.query(
    `SELECT pg_catalog.pg_replication_slot_advance(slot_name, ${lsn}) FROM pg_catalog.pg_replication_slots WHERE slot_name = ${slot} AND NOT active AND restart_lsn < ${lsn}`,
  );
}

/** Drops a slot that nobody uses; nothing happens when it is not there. An active one is an error (`query-failed`). */
export async function dropSlot(connection: Connection, name: string): Promise<void> {
  await connection.query(
    `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = ${literal(name)}`,
  );
}

/** All slots but temporary ones. */
export async function listSlots(connection: Connection, major: number): Promise<readonly Slot[]> {
  const [slots] = await connection.query(slotsQuery(major));
  return readSlots(slots ?? []);
}
