import {
  HOT_STANDBY_SETTINGS,
  type Lsn,
  parseLsn,
  type SourceAddress,
  type SourceFault,
  type SourceFaultCode,
  type SourceSpec,
  type TimelineHistory,
} from '@understudy/core/cluster';
import type { SeenSource } from '@understudy/core/failover';
import type { Connection, Endpoint } from './connection.ts';
import { PostgresError } from './errors.ts';
import { advanceSlot, ensureSlot } from './slots.ts';
import type { ServerSpec } from './replication.ts';
import { REPLICATION_ROLE, tlsOfMember } from './settings.ts';
import { parseTimelineHistory } from './timeline-files.ts';

/** How a server of the source is reached: as the role that streams from it. */
export function sourceEndpoint({ credentials, settings }: ServerSpec, source: SourceSpec, { host, port }: SourceAddress): Endpoint {
  return {
    host,
    port,
    user: source.user ?? REPLICATION_ROLE,
    password: credentials.source ?? credentials.replication,
    tls: source.tls ?? tlsOfMember(settings),
  };
}

/** What a server of the source must be to be followed. */
export interface SourceNeeds {
  /** System identifier in decimal; null: whichever it is. */
  readonly systemId: string | null;
  readonly major: number;
  /** Settings that must not be greater there than here, with their values here; null: they are not looked at. */
  readonly limits: Readonly<Record<string, number>> | null;
  readonly slot: string;
}

export interface SourceLook {
  readonly systemId: string;
  readonly server: SeenSource;
}

/** Histories never change: each is fetched once. */
type Histories = Map<number, TimelineHistory>;

const LOOK = (slot: string): string => `SELECT pg_catalog.pg_is_in_recovery() AS in_recovery,
    pg_catalog.current_setting('server_version_num') AS version;
  SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (${HOT_STANDBY_SETTINGS.map(name => `'${name}'`).join(', ')});
  SELECT restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = '${slot}' AND wal_status IS DISTINCT FROM 'lost'`;

/** Looks at one server of the source. Throws {@link UnfitSource} for one that cannot be followed, and what the connection throws. */
export async function lookAtSource(
  connection: Connection,
  address: SourceAddress,
  needs: SourceNeeds,
  histories: Histories,
): Promise<SourceLook> {
  const [identity] = await connection.query('IDENTIFY_SYSTEM');
  const row = identity?.[0];
  const systemId = row?.['systemid'] ?? '';
  const timeline = Number(row?.['timeline']);
  if (needs.systemId !== null && systemId !== needs.systemId)
    throw new UnfitSource('other-cluster', `it belongs to another cluster (system identifier ${systemId}, ours is ${needs.systemId})`);
  const [server, settings, slots] = await connection.query(LOOK(needs.slot));
  const major = Math.floor(Number(server?.[0]?.['version']) / 10_000);
  if (major !== needs.major)
    throw new UnfitSource('other-version', `it is PostgreSQL ${major}, the programs here are PostgreSQL ${needs.major}`);
  const higher = (settings ?? []).find(({ name, setting }) => Number(setting) > (needs.limits?.[name ?? ''] ?? Number.POSITIVE_INFINITY));
  if (higher)
    throw new UnfitSource('settings', `its ${higher['name']} is ${higher['setting']}; set at least that under \`postgres:\` here`);
  const slotLsn = slots?.[0]?.['restart_lsn'];
  return {
    systemId,
    server: {
      host: address.host,
      port: address.port,
      role: server?.[0]?.['in_recovery'] === 'f' ? 'primary' : 'replica',
      timeline,
      lsn: parseLsn(row?.['xlogpos'] ?? ''),
      history: await historyOf(connection, timeline, histories),
      slotLsn: slotLsn ? parseLsn(slotLsn) : null,
    },
  };
}

async function historyOf(connection: Connection, timeline: number, histories: Histories): Promise<TimelineHistory> {
  const known = timeline === 1 ? [] : histories.get(timeline);
  if (known) return known;
  const [rows] = await connection.query(`TIMELINE_HISTORY ${timeline}`);
  const history = parseTimelineHistory(rows?.[0]?.['content'] ?? '');
  histories.set(timeline, history);
  return history;
}

/** It answers, and cannot be followed: waiting alone does not help. */
export class UnfitSource extends Error {
  override readonly name = 'UnfitSource';
  readonly code: SourceFaultCode;

  constructor(code: SourceFaultCode, why: string) {
    super(why);
    this.code = code;
  }
}

export function sourceFault({ host, port }: SourceAddress, error: unknown): SourceFault {
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof UnfitSource) return { host, port, code: error.code, why };
  const isLogin = error instanceof PostgresError && error.code === 'authentication-failed';
  return { host, port, code: isLogin ? 'login' : 'unreachable', why };
}

/** Our slot there: made if it is missing, and moved forward to what is held here while nobody streams through it. */
export async function keepSourceSlot(connection: Connection, slot: string, heldLsn: Lsn | null): Promise<void> {
  await ensureSlot(connection, slot);
  if (heldLsn !== null) await advanceSlot(connection, slot, heldLsn);
}

/** A shutdown checkpoint is 120 bytes long (128 from PostgreSQL 19 on), and no record after it would be shorter than this beyond it. */
const SHUTDOWN_RECORD_BYTES = 136n;
const WAL_PAGE_BYTES = 8192n;
const LONGEST_PAGE_HEADER_BYTES = 40n;

/**
 * Whether the WAL that a replica holds ends with the checkpoint of a clean shutdown. A restartpoint makes pg_control name the last checkpoint that was replayed;
 * that of a shutdown is its own redo position, since nothing is written beside it, which no other one is (wal_level is above minimal). Null while not all has been
 * replayed.
 */
export async function endsWithShutdown(connection: Connection): Promise<boolean | null> {
  await connection.query('CHECKPOINT');
  const [rows] = await connection.query(
    `SELECT checkpoint_lsn, redo_lsn, pg_catalog.pg_last_wal_replay_lsn() AS replayed, pg_catalog.pg_last_wal_receive_lsn() AS received
       FROM pg_catalog.pg_control_checkpoint()`,
  );
  const row = rows?.[0];
  if (!row?.['checkpoint_lsn'] || !row['redo_lsn'] || !row['replayed']) return null;
  const [checkpoint, redo, replayed] = [parseLsn(row['checkpoint_lsn']), parseLsn(row['redo_lsn']), parseLsn(row['replayed'])];
  if (row['received'] && parseLsn(row['received']) > replayed) return null;
  return redo === checkpoint && isLastRecord(checkpoint, replayed);
}

/** Whether nothing lies between a shutdown checkpoint and the end but its own bytes, and the header of a page that it crosses. Pure. */
export function isLastRecord(checkpoint: Lsn, end: Lsn): boolean {
  if (end <= checkpoint) return false;
  const crosses = checkpoint / WAL_PAGE_BYTES !== (end - 1n) / WAL_PAGE_BYTES;
  return end - checkpoint <= SHUTDOWN_RECORD_BYTES + (crosses ? LONGEST_PAGE_HEADER_BYTES : 0n);
}
