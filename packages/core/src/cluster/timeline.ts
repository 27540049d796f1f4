import { type Lsn, minLsn } from './lsn.ts';

/** Where an older timeline was left: its history goes up to endLsn, exclusive. */
export interface TimelineEnd {
  readonly timeline: number;
  readonly endLsn: Lsn;
}

/** Ancestors of a timeline, oldest first, as in PostgreSQL's NNNNNNNN.history file (timeline.c). */
export type TimelineHistory = readonly TimelineEnd[];

/** The end of what a server durably holds, with the way it came there. */
export interface WalPosition {
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly history: TimelineHistory;
}

/**
 * Orders positions by how much of the acknowledged past they may hold: by timeline, then by LSN. Comparing the numbers of
 * timelines is sound here only because the store hands out each number once, in the order of terms (Rule.timeline).
 */
export function comparePositions(a: WalPosition, b: WalPosition): number {
  if (a.timeline !== b.timeline) return a.timeline - b.timeline;
  return a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : 0;
}

/** The LSN up to which both positions lie on one common history. */
export function commonLsn(a: WalPosition, b: WalPosition): Lsn {
  let common: Lsn = 0n;
  for (const segment of segments(a)) {
    const other = segments(b).find(s => s.timeline === segment.timeline);
    if (!other) break;
    common = minLsn(segment.endLsn, other.endLsn);
    if (segment.endLsn !== other.endLsn) break;
  }
  return common;
}

/** Whether `behind` can stream on from `ahead` as it is: all that it holds is part of the history of `ahead`. */
export function isAncestor(behind: WalPosition, ahead: WalPosition): boolean {
  return commonLsn(behind, ahead) >= behind.lsn;
}

function segments(position: WalPosition): readonly TimelineEnd[] {
  return [...position.history, { timeline: position.timeline, endLsn: position.lsn }];
}
