import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLsn, type TimelineEnd, type TimelineHistory } from '@understudy/core/cluster';
import type { Account } from './account.ts';
import { errnoOf, PostgresError } from './errors.ts';
import { writeFileAtomically } from './files.ts';

/** A timeline number in the eight hexadecimal digits of file names. */
function timelineName(timeline: number): string {
  return timeline.toString(16).toUpperCase().padStart(8, '0');
}

/**
 * Reads a NNNNNNNN.history file (timeline.c): one line for each ancestor, oldest first, `number TAB switch LSN TAB reason`.
 * Throws RangeError on a line that is none of these.
 */
export function parseTimelineHistory(text: string): TimelineHistory {
  const history: TimelineEnd[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)(?:\s|$)/.exec(line);
    if (!match?.[1] || !match[2]) throw new RangeError(`not a line of a timeline history: ${JSON.stringify(line)}`);
    history.push({ timeline: Number(match[1]), endLsn: parseLsn(match[2]) });
  }
  return history;
}

/** The ancestors of a timeline, from the data directory. Throws `data-directory-corrupt` when its file is missing or unreadable. */
export async function readTimelineHistory(dataDirectory: string, timeline: number): Promise<TimelineHistory> {
  if (timeline === 1) return [];
  const path = join(dataDirectory, 'pg_wal', `${timelineName(timeline)}.history`);
  try {
    return parseTimelineHistory(await readFile(path, 'utf8'));
  } catch (error) {
    throw new PostgresError('data-directory-corrupt', `the history of timeline ${timeline} cannot be read from ${path}`, { cause: error });
  }
}

/**
 * A skipped number: PostgreSQL takes the first number after its own that has no history file (findNewestTimeLine in timeline.c), so files
 * that name no ancestor, and therefore are nobody's history, make it take a later one. Replicas fetch every file in between from the new
 * primary: they must stay there.
 */
const SKIPPED = '# understudy: this timeline was never written\n';

interface HistoryFiles {
  /** Newest timeline that has a history; 1 when there is none. */
  readonly newest: number;
  readonly skipped: readonly number[];
}

/** The history files in pg_wal. */
export async function listHistoryFiles(dataDirectory: string): Promise<HistoryFiles> {
  const directory = join(dataDirectory, 'pg_wal');
  const names = (await readdir(directory)).filter(name => HISTORY_FILE.test(name));
  const files = await Promise.all(
    names.map(async name => ({ timeline: Number.parseInt(name, 16), text: await readIfThere(join(directory, name)) })),
  );
  const skipped = files.filter(({ text }) => text === SKIPPED).map(({ timeline }) => timeline);
  const written = files.filter(({ text }) => text !== null && text !== SKIPPED).map(({ timeline }) => timeline);
  return { newest: Math.max(1, ...written), skipped };
}

const HISTORY_FILE = /^[0-9A-F]{8}\.history$/;

async function readIfThere(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  });
}

/**
 * The timeline that a stopped primary wrote. After a fast promotion pg_control shows the old one until the next checkpoint, but the history
 * file of the new one was written before the first byte on it; a primary has no histories but those of its own promotions and ancestors.
 */
export async function promotedTimeline(dataDirectory: string, checkpointTimeline: number): Promise<number> {
  const { newest } = await listHistoryFiles(dataDirectory);
  if (newest <= checkpointTimeline) return checkpointTimeline;
  const ancestors = await readTimelineHistory(dataDirectory, newest);
  return ancestors.some(end => end.timeline === checkpointTimeline) ? newest : checkpointTimeline;
}

/** Makes the next promotion of a server on `current` write timeline `wanted`. Throws `timeline-unavailable` when that number is behind. */
export async function reserveTimeline(account: Account | null, dataDirectory: string, current: number, wanted: number): Promise<void> {
  const { newest } = await listHistoryFiles(dataDirectory);
  const after = Math.max(current, newest);
  if (wanted <= after) throw new PostgresError('timeline-unavailable', `timeline ${wanted} cannot follow timeline ${after}`);
  for (let timeline = after + 1; timeline < wanted; timeline += 1) {
    await writeFileAtomically(account, join(dataDirectory, 'pg_wal', `${timelineName(timeline)}.history`), SKIPPED);
  }
}

/**
 * Removes what a promotion that never happened, or a half-fetched set of histories, left behind: a server that starts with a skipped
 * number as its newest timeline would refuse to start, as that is not a child of its own.
 */
export async function dropUnusedTimelines(dataDirectory: string): Promise<void> {
  const { newest, skipped } = await listHistoryFiles(dataDirectory);
  for (const timeline of skipped.filter(number => number > newest)) {
    await rm(join(dataDirectory, 'pg_wal', `${timelineName(timeline)}.history`), { force: true });
  }
}
