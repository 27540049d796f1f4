import { type Lsn, parseLsn } from '../cluster/lsn.ts';
import type { SelfReport } from './discovered.ts';
import type { Position } from './floors.ts';

/**
 * Asks a server what it is and where it stands: in recovery, replayed or inserted position, timeline. A role that may not see the WAL receiver
 * learns a replica's timeline from its last restart point, which can only be older.
 */
export const ASK_ROLE: string = `SELECT pg_catalog.pg_is_in_recovery(), CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END::text,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_catalog.pg_stat_get_wal_receiver()), (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))
    ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END`;

/** The cluster's identity, the same on all its servers, as decimal text. A role may be refused the answer. */
export const ASK_IDENTITY: string = 'SELECT system_identifier::text FROM pg_catalog.pg_control_system()';

/** What a server is and where it stands: replayed so far (a replica) or inserted (a primary). */
export interface RoleAndPosition extends Pick<SelfReport, 'role'>, Position {}

/** The answer to {@link ASK_ROLE}, as text. Null: a server that has replayed nothing yet. */
export function readRole(row: readonly (string | null)[]): RoleAndPosition | null {
  const [inRecovery, lsn, timeline] = row;
  if (!lsn) return null;
  const position: Lsn = parseLsn(lsn);
  return { role: inRecovery === 't' ? 'replica' : 'primary', timeline: Number(timeline ?? 0), lsn: position };
}
