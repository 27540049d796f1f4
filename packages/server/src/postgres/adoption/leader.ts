import type { LeaderAnswer } from '@understudy/core/adoption';
import { parseLsn } from '@understudy/core/cluster';
import { type Endpoint, withConnection } from '../connection.ts';
import { REPLICATION_ROLE } from '../settings.ts';
import { parseTimelineHistory } from '../timeline-files.ts';

const DEADLINE_MS = 5000;

/** Asks a primary as a replica does, from this machine. Never rejects. */
export async function askLeader(endpoint: Omit<Endpoint, 'user'>): Promise<LeaderAnswer> {
  try {
    return await withConnection({ ...endpoint, user: REPLICATION_ROLE }, { deadlineMs: DEADLINE_MS }, async connection => {
      const [system] = await connection.query('IDENTIFY_SYSTEM');
      const row = system?.[0] ?? {};
      const timeline = Number(row['timeline']);
      const [file] = timeline === 1 ? [] : await connection.query(`TIMELINE_HISTORY ${timeline}`);
      const history = parseTimelineHistory(file?.[0]?.['content'] ?? '');
      const end = { timeline, lsn: parseLsn(row['xlogpos'] ?? ''), history };
      return { kind: 'answers', systemId: row['systemid'] ?? '', end };
    });
  } catch (error) {
    return { kind: 'silent', why: (error as Error).message };
  }
}
