import type { MemberId, MemberReport, Rule, WalPosition } from '../cluster/index.ts';
import { commonLsn, comparePositions, lagBytes, maxLsn } from '../cluster/index.ts';
import { isForeign, isLive, isolatedWalEnd, reportOf } from './facts.ts';
import type { View } from './view.ts';

/** A member that has answered an election: it acknowledges for no older term any more, and its WAL ends here. */
export interface Recruit {
  readonly id: MemberId;
  readonly end: WalPosition;
  /** Its PostgreSQL runs and the member is heard of: it could be promoted now. */
  readonly ready: boolean;
}

/**
 * The answer to an election is a report, nothing else: the promise of exactly this term, no operation under way that could still make
 * it a primary or a follower, and an isolated replica whose end of WAL is certain. A primary that was shut down cleanly answers
 * without being started: its last record is the shutdown checkpoint.
 */
export function recruitOf(report: MemberReport, term: number): { readonly end: WalPosition; readonly running: boolean } | null {
  if (report.promisedTerm !== term || report.operation !== null) return null;
  const { server } = report;
  if (server.kind === 'replica') {
    const end = isolatedWalEnd(server);
    return end && { end, running: true };
  }
  if (server.kind === 'stopped' && server.cleanShutdown && !server.crashed)
    return { end: { timeline: server.timeline, lsn: server.checkpointLsn + 1n, history: [] }, running: false };
  return null;
}

export function recruitsOf(view: View, term: number, nowMs: number): readonly Recruit[] {
  return Object.keys(view.state.members)
    .sort()
    .flatMap(id => {
      const report = reportOf(view, id);
      const answer = report === null || isForeign(view.state, report) ? null : recruitOf(report, term);
      return answer === null ? [] : [{ id, end: answer.end, ready: answer.running && isLive(view, id, nowMs) }];
    });
}

export function idsOf(recruits: readonly Recruit[]): ReadonlySet<MemberId> {
  return new Set(recruits.map(recruit => recruit.id));
}

/** The greatest end of WAL among the recruits. */
export function furthest(recruits: readonly Recruit[]): WalPosition | null {
  return recruits.reduce<WalPosition | null>((best, { end }) => (best === null || comparePositions(end, best) > 0 ? end : best), null);
}

/**
 * Bytes that the primary of this rule is known to have had and that `end` lacks; null when nothing is known of the primary or
 * histories cannot be compared.
 */
export function knownLossBytes(view: View, rule: Rule, end: WalPosition): number | null {
  const server = reportOf(view, rule.primary)?.server;
  const heard = view.local.primaryFlush?.term === rule.term ? view.local.primaryFlush.lsn : null;
  if (server?.kind === 'replica' && server.walEnd !== null && heard === null) return lagBytes(server.walEnd.lsn, end.lsn);
  if (server?.kind === 'primary' && server.timeline === rule.timeline) {
    const primaryEnd = { timeline: server.timeline, lsn: maxLsn(server.flushLsn, heard ?? 0n), history: server.history };
    return lagBytes(primaryEnd.lsn, commonLsn(end, primaryEnd));
  }
  return heard !== null && end.timeline === rule.timeline ? lagBytes(heard, end.lsn) : null;
}
