import {
  addressText,
  type ClusterState,
  formatLsn,
  type Lsn,
  lagBytes,
  type MemberId,
  type MemberReport,
  maxLsn,
  type SourceReport,
  type SourceServer,
  type SourceSpec,
} from '../../cluster/index.ts';
import { askedTerm } from '../facts.ts';
import type { HeardReports } from '../restart-view.ts';
import { positionOf, underLeader } from './succession.ts';

/**
 * The numbers of timelines between the newest that the source is known to have and that of a promoted cluster. A source that nobody has fenced may go on
 * failing over, and takes the numbers after its own; two histories of one number could not be told apart when it comes back.
 */
const TIMELINE_GAP = 10;

/** A look at the source older than this says nothing of the moment at which somebody promotes. */
const FRESH_MS = 10_000;

/** A source whose primary went less than this ago may have another one in a moment. */
const SUCCESSION_MS = 5_000;

/** What to do about a source that is lost. */
export const WITHOUT_SOURCE =
  'Bring the source back and shut it down cleanly; or, when it is lost and fenced, `understudy promote --accept-data-loss`. Nothing was touched.';

/** What an operator who promotes is ready to bear. */
export interface PromotionWish {
  /** The source does not answer, and what it had beyond the standby is given up. */
  readonly acceptDataLoss: boolean;
  /** The source takes writes, and goes on doing so: two clusters, each with writes that the other lacks. */
  readonly split: boolean;
}

export const PLAIN_PROMOTION: PromotionWish = { acceptDataLoss: false, split: false };

/** How far the standby cluster is behind its source, as far as it is known. */
export interface SourceGap {
  readonly leader: MemberId;
  /** Bytes that the source is known to have had beyond what the leader holds; null: nothing is known of it. */
  readonly behindBytes: number | null;
  /** How old that knowledge is, in milliseconds; null as before. */
  readonly knownMs: number | null;
  /** Commit time of the last transaction that the leader has replayed, by the source's wall clock. */
  readonly lastCommitAtMs: number | null;
  readonly endsAtLsn: Lsn;
}

export type PromotionVerdict =
  /** `nothing-lost`: the source was shut down cleanly, and all that it wrote is here. */
  | { readonly kind: 'ready'; readonly gap: SourceGap; readonly loss: 'nothing-lost' | 'unknown' | 'split' }
  /** Not yet: what is missing may come by itself. */
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string; readonly remedy: string };

/** Whether a standby cluster may be promoted now, by the reports of members that were heard of lately. */
export function judgePromotion(state: ClusterState, heard: HeardReports, wish: PromotionWish): PromotionVerdict {
  const refused = (why: string, remedy: string): PromotionVerdict => ({ kind: 'refused', why, remedy });
  const { rule, standby } = state;
  if (!standby) return refused('This is no standby cluster: it takes writes already.', 'For another primary: `understudy switchover`.');
  if (!rule) return { kind: 'wait', why: 'the standby cluster has no data yet' };
  const leader = heard.get(rule.primary);
  const position = positionOf(leader ?? null);
  const source = leader?.source ?? null;
  if (!leader || position === null) return { kind: 'wait', why: `the standby leader ${rule.primary} does not run` };
  if (source === null || source.ageMs === null || source.ageMs > FRESH_MS) return { kind: 'wait', why: 'the source is being looked at' };
  const gap = gapOf(rule.primary, leader, heard);
  const primary = source.servers.find(({ role }) => role === 'primary');
  if (primary) return withLivingSource(primary, gap, wish);
  const seenMs = Math.min(...[...heard.values()].map(report => report.source?.primarySeenMs ?? Number.POSITIVE_INFINITY));
  if (seenMs < SUCCESSION_MS) return { kind: 'wait', why: 'the source had a primary a moment ago, and may be electing another one' };
  if (source.endsWithShutdown) return { kind: 'ready', gap, loss: 'nothing-lost' };
  const ahead = source.servers.find(server => server.lsn > position.lsn);
  if (ahead && !wish.acceptDataLoss)
    return { kind: 'wait', why: `${addressText(ahead)} has WAL up to ${formatLsn(ahead.lsn)}, which is not all here` };
  if (wish.acceptDataLoss) return { kind: 'ready', gap, loss: 'unknown' };
  const why =
    'the source has no primary that answers, and its WAL does not end here with a clean shutdown: what it wrote last may be missing';
  const isCertain = source.endsWithShutdown === false && leader.server.kind === 'replica' && !leader.server.receiver?.streaming;
  return isCertain ? refused(why, WITHOUT_SOURCE) : { kind: 'wait', why };
}

function withLivingSource(primary: SourceServer, gap: SourceGap, { split }: PromotionWish): PromotionVerdict {
  if (split) return { kind: 'ready', gap, loss: 'split' };
  return {
    kind: 'refused',
    why: `The source takes writes: its primary answers at ${addressText(primary)}.`,
    remedy:
      'Shut it down cleanly first (`understudy down` there), or make it a standby (`understudy demote`); then nothing is lost. `--split` promotes all the same: two clusters then take writes.',
  };
}

/** How far the leader is behind what any member has ever seen of the source. */
export function gapOf(leader: MemberId, report: MemberReport, heard: HeardReports): SourceGap {
  const position = positionOf(report);
  const endsAtLsn = position?.lsn ?? 0n;
  const newest = newestOfSource(heard);
  return {
    leader,
    behindBytes: newest ? lagBytes(maxLsn(newest.lsn, endsAtLsn), endsAtLsn) : null,
    knownMs: newest?.ageMs ?? null,
    lastCommitAtMs: report.server.kind === 'replica' ? (report.server.replayedCommitAtMs ?? null) : null,
    endsAtLsn,
  };
}

/** The furthest position of the source that any member has seen, and how long ago. */
export function newestOfSource(heard: HeardReports): NonNullable<SourceReport['newest']> | null {
  const known = [...heard.values()].flatMap(({ source }) => (source?.newest ? [source.newest] : []));
  return known.toSorted((a, b) => b.timeline - a.timeline || (b.lsn > a.lsn ? 1 : b.lsn < a.lsn ? -1 : a.ageMs - b.ageMs))[0] ?? null;
}

/**
 * The state with which the promotion begins: an ordinary cluster of which a new term was asked for. Its rule says that the standby leader alone holds all that
 * there is, so nobody else is elected in its place unless the operator accepts the loss.
 */
export function promotedState(state: ClusterState, heard: HeardReports, wallMs: number): ClusterState {
  const { rule } = state;
  if (!rule) return state;
  const timelines = [...heard.values()].flatMap(({ source, server }) => [
    ...(source?.servers.map(({ timeline }) => timeline) ?? []),
    source?.newest?.timeline ?? 0,
    'timeline' in server ? server.timeline : 0,
  ]);
  const timeline = Math.max(rule.timeline, ...timelines) + TIMELINE_GAP;
  // A term of its own, which nobody ever leads: that of the standby leader keeps the rule that it had.
  const term = askedTerm(state) + 1;
  const proposal = { term: term + 1, by: rule.primary, trigger: 'promotion', atMs: wallMs, noticedMs: 0 } as const;
  return { ...state, standby: null, intent: null, rule: { ...rule, term, timeline }, proposal };
}

/** The state in which a cluster that took writes follows another one: its primary steps down, and leads the standby. */
export function demotedState(state: ClusterState, source: SourceSpec, wallMs: number): ClusterState {
  const { rule } = state;
  const standby = { source, sinceMs: wallMs };
  if (!rule) return { ...state, standby };
  const reason = `The cluster became a standby; ${rule.primary} leads it.`;
  return { ...underLeader(state, rule.primary, 'demotion', reason, wallMs), standby, intent: null };
}
