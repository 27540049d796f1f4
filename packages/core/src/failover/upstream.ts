import {
  type ClusterState,
  cascadeName,
  type MemberId,
  type MemberReport,
  parseFollowName,
  type ReplicaServer,
  type Rule,
  streamName,
} from '../cluster/index.ts';
import { isLive, reportOf } from './facts.ts';
import type { View } from './view.ts';

/**
 * From the primary a cascading replica goes back to its upstream after so many replica timeouts at the earliest: where the two do not reach each other it
 * would else go to and fro.
 */
const RETURN_TIMEOUTS = 6;

/** From whom a replica is to stream. */
export type Source =
  | { readonly kind: 'member'; readonly id: MemberId; readonly applicationName: string }
  /** Its upstream, which does not stream itself yet: it is waited for a little. */
  | { readonly kind: 'not-yet'; readonly id: MemberId };

/**
 * The primary; or the upstream of a cascading replica, while that streams under the present term. When it has not done so for a replica timeout, or serves
 * this one nothing for as long, the primary takes its place.
 */
export function sourceOf(view: View, rule: Rule, server: ReplicaServer, nowMs: number): Source {
  const primary = { kind: 'member', id: rule.primary, applicationName: streamName(view.self, rule.term) } as const;
  const upstream = upstreamOf(view.state, rule, view.self);
  if (upstream === null) return primary;
  const cascade = { kind: 'member', id: upstream, applicationName: cascadeName(view.self, rule.term, upstream) } as const;
  const { local, config } = view;
  const isThere = isLive(view, upstream, nowMs) && streamsUnder(reportOf(view, upstream), rule.term);
  const within = (...momentsMs: readonly number[]): boolean => nowMs - Math.max(...momentsMs) <= config.replicaTimeoutMs;
  const isAwaited = within(local.cascade.upstreamAtMs, local.seen.ruleAtMs, local.startedAtMs);
  const isServed = server.receiver?.streaming === true || within(local.streamedAtMs[view.self] ?? 0, local.cascade.sinceMs);
  switch (server.followsAs) {
    case null:
      return isThere ? cascade : isAwaited ? { kind: 'not-yet', id: upstream } : primary;
    case cascade.applicationName:
      return isAwaited && isServed ? cascade : primary;
    default:
      return isThere && nowMs - local.cascade.sinceMs >= RETURN_TIMEOUTS * config.replicaTimeoutMs ? cascade : primary;
  }
}

/** The upstream that can give a cascading replica its first copy; null for the primary. A delayed one would give away the past, which it holds back. */
export function copySourceOf(view: View, rule: Rule, nowMs: number): MemberId | null {
  const upstream = upstreamOf(view.state, rule, view.self);
  if (upstream === null || view.state.members[upstream]?.applyDelayMs !== 0) return null;
  return isLive(view, upstream, nowMs) && streamsUnder(reportOf(view, upstream), rule.term) ? upstream : null;
}

/** The member that a cascading replica should stream from; null for the primary. Members that name each other in a circle follow the primary. */
export function upstreamOf({ members }: Pick<ClusterState, 'members'>, rule: Pick<Rule, 'primary'>, self: MemberId): MemberId | null {
  const upstream = members[self]?.follows ?? null;
  if (upstream === null || members[upstream]?.lifecycle !== 'member') return null;
  const passed = new Set<MemberId>();
  for (
    let next: MemberId | null = upstream;
    next !== null && next !== rule.primary && !passed.has(next);
    next = members[next]?.follows ?? null
  ) {
    if (next === self) return null;
    passed.add(next);
  }
  return upstream === rule.primary ? null : upstream;
}

/** A replica that streams, from whomever, under this term: what it has is part of the history of that term's primary. */
export function streamsUnder(report: MemberReport | null, term: number): boolean {
  if (report?.server.kind !== 'replica' || !report.server.receiver?.streaming) return false;
  return parseFollowName(report.server.followsAs ?? '')?.term === term;
}
