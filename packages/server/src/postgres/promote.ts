import type { Lsn } from '@understudy/core/cluster';
import { PostgresError } from './errors.ts';
import type { RunningServer, ServerSpec } from './replication.ts';
import { readTimelineHistory, reserveTimeline } from './timeline-files.ts';
import { pollUntil } from './wait.ts';

const POLL_MS = 3;

export interface Promotion {
  readonly timeline: number;
  /** Where the new timeline begins. */
  readonly switchLsn: Lsn;
}

/**
 * Promotes a running, isolated replica and returns when it takes writes. `timeline` is the number that it must write; null leaves the choice
 * to PostgreSQL. Its synchronous names must be set before, since they bind the first commit.
 * Throws `promote-timeout`, `timeline-unavailable`, and what the connection throws.
 */
export async function promoteServer(
  spec: ServerSpec,
  running: RunningServer,
  timeline: number | null,
  deadlineMs: number,
): Promise<Promotion> {
  const { dataDirectory } = spec.paths;
  return await running.ask(deadlineMs, async connection => {
    const [system] = await connection.query('IDENTIFY_SYSTEM');
    const current = Number(system?.[0]?.['timeline']);
    if (timeline !== null) await reserveTimeline(spec.account, dataDirectory, current, timeline);
    await connection.query('SELECT pg_catalog.pg_promote(wait => false)');
    const segment = await pollUntil(
      async () => {
        const [rows] = await connection.query(
          'SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) AS segment WHERE NOT pg_catalog.pg_is_in_recovery()',
        );
        return rows?.[0]?.['segment'] ?? null;
      },
      { intervalMs: POLL_MS, deadlineMs },
    );
    if (segment === null) throw new PostgresError('promote-timeout', `the promotion was not done within ${deadlineMs} ms`);
    const promoted = Number.parseInt(segment.slice(0, 8), 16);
    if (timeline !== null && promoted !== timeline) {
      throw new PostgresError('timeline-unavailable', `the promotion took timeline ${promoted}, not ${timeline}`);
    }
    const last = (await readTimelineHistory(dataDirectory, promoted)).at(-1);
    return { timeline: promoted, switchLsn: last?.endLsn ?? 0n };
  });
}
