import {
  type ClusterState,
  comparePositions,
  HISTORY_LIMIT,
  type MemberId,
  type MemberReport,
  maxLsn,
  type Rule,
  type TermRecord,
  type Trigger,
  type WalPosition,
} from '../../cluster/index.ts';
import type { Decision } from '../action.ts';
import { askedTerm, changeStore, isForeign, isLive, mayLead, reportOf } from '../facts.ts';
import type { View } from '../view.ts';

/** What a replica has received, as far as it says; null for any other server. */
export function positionOf(report: MemberReport | null): WalPosition | null {
  const server = report?.server;
  if (server?.kind !== 'replica') return null;
  if (server.walEnd !== null && !server.receiver?.streaming) return server.walEnd;
  const { timeline, history, receiveLsn, replayLsn } = server;
  return { timeline, history, lsn: maxLsn(receiveLsn ?? 0n, replayLsn ?? 0n) };
}

/** The member that should lead instead of the present standby leader: the live replica whose WAL goes furthest, so that the others can follow it. */
export function successorOf(view: View, rule: Rule, nowMs: number): MemberId | null {
  const able = Object.values(view.state.members).flatMap(spec => {
    const report = reportOf(view, spec.id);
    if (spec.id === rule.primary || !mayLead(spec) || !isLive(view, spec.id, nowMs)) return [];
    const end = report === null || isForeign(view.state, report) || report.operation !== null ? null : positionOf(report);
    return end === null ? [] : [{ spec, end }];
  });
  const best = able.toSorted(
    (a, b) => comparePositions(b.end, a.end) || b.spec.priority - a.spec.priority || (a.spec.id < b.spec.id ? -1 : 1),
  )[0];
  return best?.spec.id ?? null;
}

/**
 * Nobody writes, so no promise is needed before another member leads: two that stream from the source at once are two replicas of it. Compare-and-swap
 * alone settles whom the others follow.
 */
export function changeLeader(view: View, to: MemberId, reason: string): Decision {
  const next = underLeader(view.state, to, 'standby-leader-lost', reason, view.wallMs);
  return changeStore(next, reason, { term: next.rule?.term ?? null, leader: to });
}

/** The state in which that member leads a standby cluster, under a new term. */
export function underLeader(state: ClusterState, primary: MemberId, trigger: Trigger, reason: string, wallMs: number): ClusterState {
  const timeline = Math.max(1, state.rule?.timeline ?? 1);
  const rule: Rule = { term: askedTerm(state) + 1, primary, cohort: [], acks: 0, timeline, established: true, before: [] };
  const record: TermRecord = {
    term: rule.term,
    primary,
    timeline,
    trigger,
    reason,
    detectMs: null,
    raisedAtMs: wallMs,
    electedAtMs: wallMs,
    promotedAtMs: null,
    establishedAtMs: null,
    lostBytes: 0,
  };
  return { ...state, rule, history: [...state.history, record].slice(-HISTORY_LIMIT) };
}
