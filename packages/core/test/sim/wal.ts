import type { TimelineHistory, WalPosition } from '../../src/cluster/index.ts';

/** One record. Its identity is the truth that the brain cannot see: two logs agree as far as they hold the same objects. */
export interface WalRecord {
  readonly index: number;
  readonly timeline: number;
  /** Where it ends. */
  readonly endLsn: bigint;
  readonly kind: 'write' | 'promotion' | 'shutdown' | 'start';
}

export const FIRST_LSN = 0x1000000n;
/** A clean shutdown switches to a new WAL segment. */
const SEGMENT_BYTES = 0x1000000n;

export function endOf(wal: readonly WalRecord[]): bigint {
  return wal.at(-1)?.endLsn ?? FIRST_LSN;
}

export function append(wal: WalRecord[], timeline: number, kind: WalRecord['kind'], bytes = 100n): WalRecord {
  const from = endOf(wal);
  const endLsn = kind === 'shutdown' ? (from / SEGMENT_BYTES + 1n) * SEGMENT_BYTES + 120n : from + bytes;
  const record = { index: wal.length, timeline, endLsn, kind };
  wal.push(record);
  return record;
}

export function holds(wal: readonly WalRecord[], record: WalRecord): boolean {
  return wal[record.index] === record;
}

export function isPrefix(short: readonly WalRecord[], long: readonly WalRecord[]): boolean {
  const last = short.at(-1);
  return last === undefined || holds(long, last);
}

export function positionOf(wal: readonly WalRecord[], history: TimelineHistory, timeline: number): WalPosition {
  return { timeline, lsn: endOf(wal), history };
}
