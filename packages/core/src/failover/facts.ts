import type {
  AckRule,
  ClusterState,
  Intent,
  MemberId,
  MemberReport,
  MemberSpec,
  PrimaryServer,
  ReplicaServer,
  Rule,
  Trigger,
  WalPosition,
} from '../cluster/index.ts';
import { isElectable, isSynchronous, mayElect } from '../cluster/index.ts';
import type { Action, Decision } from './action.ts';
import type { View } from './view.ts';

/** One decision with its sentence. */
export function decision(action: Action, reason: string, inputs: Decision['inputs'] = {}): Decision {
  return { action, reason, inputs };
}

export function changeStore(next: ClusterState, reason: string, inputs: Decision['inputs'] = {}): Decision {
  return decision({ kind: 'change-store', next }, reason, inputs);
}

export function reportOf(view: View, id: MemberId): MemberReport | null {
  return view.members[id]?.report ?? null;
}

export function selfReport(view: View): MemberReport | null {
  return reportOf(view, view.self);
}

/** For how long `id` had been silent when the store last answered; a member never heard of counts from this agent's start. */
export function silenceMs(view: View, id: MemberId): number {
  return silentSinceMs(view, id, view.members[id]?.heardAtMs);
}

/** The same, but what a member gets out that is itself answered nothing does not count. Not for a lease: that counts from what may be answered yet. */
export function absenceMs(view: View, id: MemberId): number {
  return silentSinceMs(view, id, view.members[id]?.takesPartAtMs ?? view.members[id]?.heardAtMs);
}

function silentSinceMs(view: View, id: MemberId, heardAtMs: number = view.local.startedAtMs): number {
  if (id === view.self) return 0;
  return Math.max(0, view.storeHeardAtMs - Math.max(heardAtMs, view.local.startedAtMs));
}

/** Heard of lately enough to be counted on. */
export function isLive(view: View, id: MemberId, nowMs: number): boolean {
  if (id === view.self) return true;
  const heard = view.members[id];
  return heard !== undefined && nowMs - heard.heardAtMs <= view.config.leaseMs;
}

/** Beyond the lease by as much as two clocks may disagree: only then may another act as if a primary without acks had fenced itself. */
export function leaseMarginMs(view: View): number {
  return Math.max(view.config.heartbeatMs, view.config.leaseMs / 4);
}

/** Highest term that anybody has asked for. */
export function askedTerm(state: ClusterState): number {
  return Math.max(state.proposal?.term ?? 0, state.rule?.term ?? 0);
}

export function electionUnderWay(state: ClusterState): boolean {
  return askedTerm(state) > (state.rule?.term ?? 0);
}

/** The server of a member that really leads the term: the rule names it and it writes the timeline given to that term. */
export function leadingServer(report: MemberReport | null, rule: Rule): PrimaryServer | null {
  if (report === null || report.id !== rule.primary || report.server.kind !== 'primary') return null;
  return report.server.timeline === rule.timeline ? report.server : null;
}

/** A replica that follows nobody and whose end of WAL is certain: its WAL changes no more by itself. */
export function isolatedWalEnd(server: ReplicaServer): WalPosition | null {
  return server.followsAs === null && server.receiver === null ? server.walEnd : null;
}

/**
 * A delayed replica with WAL of its own to apply before PostgreSQL asks for more (it does so again only when there is none left). Until then it need not
 * stream, and the end of its WAL may not be known.
 */
export function isHoldingBack(spec: MemberSpec | undefined, { receiver, replayLsn, walEnd }: ReplicaServer): boolean {
  if (spec === undefined || spec.applyDelayMs === 0 || receiver?.streaming) return false;
  return walEnd === null || (replayLsn ?? 0n) < walEnd.lsn;
}

export function ackRule(rule: Rule): AckRule {
  return { term: rule.term, primary: rule.primary, cohort: rule.cohort, acks: rule.acks };
}

/** The member that an operator wants to lead. */
export function wishedLeader(intent: Intent | null): MemberId | null {
  return intent?.kind === 'switchover' || intent?.kind === 'failover' ? intent.to : null;
}

/** May be made the primary by an election, as far as the operator's wishes go. */
export function mayLead(spec: MemberSpec | undefined): boolean {
  return spec !== undefined && spec.lifecycle === 'member' && isElectable(spec);
}

/** May be counted in the cohort. */
export function maySync(spec: MemberSpec | undefined): boolean {
  return spec !== undefined && spec.lifecycle === 'member' && isSynchronous(spec);
}

/** Live members other than the primary that hold data and can be recruited without being repaired first. */
export function liveCandidates(view: View, rule: Rule, nowMs: number): readonly MemberId[] {
  return Object.keys(view.state.members)
    .filter(id => {
      if (id === rule.primary || !isLive(view, id, nowMs)) return false;
      const report = reportOf(view, id);
      if (report === null || isForeign(view.state, report)) return false;
      return report.server.kind === 'replica' || report.server.kind === 'starting' || report.server.kind === 'stopped';
    })
    .sort();
}

/** Whether an election could end without the present primary: never fence a primary for an election that cannot. */
export function couldReplace(view: View, rule: Rule, nowMs: number): boolean {
  const candidates = liveCandidates(view, rule, nowMs);
  return mayElect(rule, new Set(candidates)) && candidates.some(id => mayLead(view.state.members[id]));
}

/** Its data directory belongs to another cluster. */
export function isForeign(state: ClusterState, report: MemberReport): boolean {
  return state.systemId !== null && report.systemId !== null && report.systemId !== state.systemId;
}

/**
 * Whether it is this agent's turn to try what any agent may try: at once for the first of the live ones, a heartbeat later for
 * the next. Only saves useless races; compare-and-swap keeps them harmless.
 */
export function isMyTurn(view: View, sinceMs: number, nowMs: number, first: MemberId | null = null): boolean {
  const live = Object.keys(view.state.members)
    .filter(id => isLive(view, id, nowMs))
    .sort((a, b) => Number(b === first) - Number(a === first) || (a < b ? -1 : 1));
  const rank = Math.max(0, live.indexOf(view.self));
  return nowMs - sinceMs >= rank * view.config.heartbeatMs;
}

/** Waits between attempts of a repair: doubled each time, at most half a minute. */
export function repairDue(view: View, nowMs: number): boolean {
  const { attempts, lastAtMs } = view.local.repair;
  if (attempts === 0) return true;
  return nowMs - lastAtMs >= Math.min(30_000, 250 * 2 ** Math.min(attempts, 10));
}

/** The present term began by an automatic failover a short while ago, and the primary still answers: do not go round in circles. */
export function flapBlocked(view: View, nowMs: number): boolean {
  return beganLately(view, nowMs, trigger => trigger.startsWith('primary-'));
}

/** The present term began so, less than `flapBlockMs` ago. */
export function beganLately(view: View, nowMs: number, began: (trigger: Trigger) => boolean): boolean {
  const last = view.state.history.at(-1);
  if (last === undefined || !began(last.trigger)) return false;
  const { seen, startedAtMs } = view.local;
  const sawItBegin = seen.ruleAtMs > startedAtMs;
  const ageMs = sawItBegin ? nowMs - seen.ruleAtMs : view.wallMs - last.electedAtMs;
  return ageMs < view.config.flapBlockMs;
}
