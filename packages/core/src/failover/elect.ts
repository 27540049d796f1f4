import type { ClusterState, MemberId, MemberSpec, Rule, TermRecord, WalPosition } from '../cluster/index.ts';
import { comparePositions, HISTORY_LIMIT, isAncestor, lagBytes, mayElect } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import {
  ackRule,
  askedTerm,
  changeStore,
  couldReplace,
  decision,
  isLive,
  isMyTurn,
  leaseMarginMs,
  liveCandidates,
  mayLead,
  maySync,
  repairDue,
  reportOf,
  selfReport,
  silenceMs,
  wishedLeader,
} from './facts.ts';
import { furthest, idsOf, knownLossBytes, type Recruit, recruitsOf } from './recruits.ts';
import type { View } from './view.ts';
import { countedByZone } from './zones.ts';

/** An election is under way: answer it, and end it if that can be done. */
export function takePartInElection(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  return [...endElection(view, rule, nowMs), ...answerElection(view, rule, nowMs)];
}

/** Own part: become an isolated replica whose end of WAL is certain. The report then says so by itself. */
function answerElection(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const server = selfReport(view)?.server;
  const term = askedTerm(view.state);
  if (server?.kind === 'replica' && (server.followsAs !== null || server.receiver !== null))
    return [decision({ kind: 'isolate' }, `Term ${term} recruits: stop taking WAL from the old primary.`, { term })];
  if (server?.kind !== 'stopped' || !repairDue(view, nowMs)) return [];
  // A clean stop answers as it is, and starting would take that answer back for a while. A crashed primary whose replicas can do without it
  // would only take the processor from them, and its agent, busy with the start, could not end the election that it asked for.
  const isReplaced = rule.primary === view.self && !isStalled(view) && couldReplace(view, rule, nowMs);
  const isNeedless = (server.cleanShutdown && !server.crashed) || isReplaced;
  const waitMs = isNeedless ? view.config.electionTimeoutMs / 2 : 0;
  if (nowMs - view.local.seen.proposalAtMs < waitMs) return [];
  return [decision({ kind: 'start-isolated' }, `Term ${term} recruits: start as an isolated replica to see where its WAL ends.`, { term })];
}

/** Any agent may end the election, from the reports and the store's state alone. */
function endElection(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const term = askedTerm(view.state);
  const recruits = recruitsOf(view, term, nowMs);
  const sinceMs = nowMs - view.local.seen.proposalAtMs;
  const choice = choose(view, rule, recruits, nowMs);
  if (choice.kind === 'winner') {
    if (awaitsMore(view, rule, recruits, nowMs)) return [];
    if (!isMyTurn(view, view.local.seen.proposalAtMs, nowMs, view.state.proposal?.by)) return [];
    return [elect(view, rule, choice, recruits)];
  }
  if (sinceMs < view.config.electionTimeoutMs) return [];
  if (choice.kind === 'barred') return [alarm('only-nofailover-holds-data', { member: choice.id, term })];
  const missing = Object.keys(view.state.members).filter(id => !recruits.some(recruit => recruit.id === id));
  return [alarm(rule.acks === 0 ? 'needs-accept-data-loss' : 'election-needs-members', { term, missing: missing.join(', ') })];
}

/**
 * A little patience for live replicas that have not answered yet: they are the new cohort. And some more for a primary that only lacked
 * acknowledgements, and has stepped down for others to give them: what it wrote since would have to be thrown away under another one.
 */
function awaitsMore(view: View, rule: Rule, recruits: readonly Recruit[], nowMs: number): boolean {
  const sinceMs = nowMs - view.local.seen.proposalAtMs;
  const answered = idsOf(recruits);
  if (isStalled(view) && !answered.has(rule.primary) && canAnswer(view, rule.primary, nowMs))
    return sinceMs < view.config.electionTimeoutMs;
  if (sinceMs >= 2 * view.config.heartbeatMs) return false;
  return liveCandidates(view, rule, nowMs).some(
    id => !answered.has(id) && isOfUse(view.state.members[id]) && reportOf(view, id)?.server.kind === 'replica',
  );
}

/** A delayed replica may not know where its WAL ends before it has applied it, and nobody waits for that. */
function isOfUse(spec: MemberSpec | undefined): boolean {
  return mayLead(spec) || maySync(spec);
}

/** The present election was asked for since a term could not be established, not since its primary was gone. */
function isStalled(view: View): boolean {
  return view.state.proposal?.trigger === 'election-stalled';
}

function canAnswer(view: View, id: MemberId, nowMs: number): boolean {
  const kind = reportOf(view, id)?.server.kind;
  return isLive(view, id, nowMs) && kind !== undefined && kind !== 'absent' && kind !== 'unresponsive' && kind !== 'failing';
}

type Choice =
  | { readonly kind: 'winner'; readonly winner: Recruit; readonly lostBytes: number; readonly why: string }
  | { readonly kind: 'barred'; readonly id: MemberId }
  | { readonly kind: 'none' };

/**
 * The recruit whose WAL goes furthest, of a set that suffices by itself. The old primary (unless its term only stalled) and members that must not
 * lead are left out if the others suffice without them.
 */
function choose(view: View, rule: Rule, recruits: readonly Recruit[], nowMs: number): Choice {
  const leaders = recruits.filter(recruit => mayLead(view.state.members[recruit.id]));
  const others = leaders.filter(recruit => recruit.id !== rule.primary);
  for (const set of isStalled(view) ? [leaders, recruits] : [others, leaders, recruits]) {
    if (!mayElect(rule, idsOf(set))) continue;
    const end = furthest(set)!;
    const best = set.filter(recruit => comparePositions(recruit.end, end) === 0);
    const winner = preferred(
      view,
      best.filter(recruit => recruit.ready && mayLead(view.state.members[recruit.id])),
    );
    if (winner) return { kind: 'winner', winner, lostBytes: 0, why: `${set.map(r => r.id).join(', ')} suffice` };
  }
  const lossy = chooseWithLoss(view, rule, recruits, leaders, nowMs);
  if (lossy) return lossy;
  if (!mayElect(rule, idsOf(recruits))) return { kind: 'none' };
  const barred = recruits.find(
    recruit => !mayLead(view.state.members[recruit.id]) && comparePositions(recruit.end, furthest(recruits)!) === 0,
  );
  return barred ? { kind: 'barred', id: barred.id } : { kind: 'none' };
}

/** Ties: the operator's wish, then priority, then name. */
function preferred(view: View, best: readonly Recruit[]): Recruit | null {
  const wish = wishedLeader(view.state.intent);
  const rank = (id: MemberId): number => (id === wish ? 1001 : (view.state.members[id]?.priority ?? 0));
  return best.toSorted((a, b) => rank(b.id) - rank(a.id) || (a.id < b.id ? -1 : 1))[0] ?? null;
}

/** Asynchronous durability within its bound, or an operator who accepted the loss: once the old primary must have fenced itself. */
function chooseWithLoss(view: View, rule: Rule, recruits: readonly Recruit[], leaders: readonly Recruit[], nowMs: number): Choice | null {
  const intent = view.state.intent;
  const accepted = intent?.kind === 'failover' && intent.acceptDataLoss && intent.fromTerm === rule.term;
  if (!accepted && !isAsync(view, rule)) return null;
  if (!idsOf(recruits).has(rule.primary) && silenceMs(view, rule.primary) < view.config.leaseMs + leaseMarginMs(view)) return null;
  if (accepted && nowMs - view.local.seen.proposalAtMs < 4 * view.config.heartbeatMs) return null;
  const ready = leaders.filter(recruit => recruit.ready && (recruit.id !== rule.primary || leaders.length === 1));
  const end = furthest(ready);
  if (end === null) return null;
  const wished = accepted ? ready.find(recruit => recruit.id === intent.to) : undefined;
  const winner =
    wished ??
    preferred(
      view,
      ready.filter(recruit => comparePositions(recruit.end, end) === 0),
    )!;
  const known = knownLossBytes(view, rule, winner.end);
  const lostBytes = Math.max(known ?? 0, lagBytes(end.lsn, winner.end.lsn));
  if (accepted)
    return {
      kind: 'winner',
      winner,
      lostBytes,
      why: `the operator accepted the loss of ${known === null ? 'an unknown number of' : lostBytes} bytes`,
    };
  if (known === null || known > view.state.durability.maxLossBytes) return null;
  return { kind: 'winner', winner, lostBytes, why: `asynchronous durability allows the loss of ${lostBytes} bytes` };
}

function isAsync(view: View, rule: Rule): boolean {
  return view.state.durability.mode === 'async' && rule.acks === 0 && rule.before.every(older => older.acks === 0);
}

/** Whether asynchronous durability would let a live member take over from a primary that is gone. */
export function couldReplaceWithLoss(view: View, rule: Rule, nowMs: number): boolean {
  if (!isAsync(view, rule)) return false;
  return liveCandidates(view, rule, nowMs).some(id => {
    const server = reportOf(view, id)?.server;
    if (server?.kind !== 'replica' || !mayLead(view.state.members[id])) return false;
    const end = server.walEnd ?? { timeline: server.timeline, lsn: server.receiveLsn ?? server.replayLsn ?? 0n, history: server.history };
    const lossBytes = knownLossBytes(view, rule, end);
    return lossBytes !== null && lossBytes <= view.state.durability.maxLossBytes;
  });
}

function elect(view: View, rule: Rule, choice: Extract<Choice, { kind: 'winner' }>, recruits: readonly Recruit[]): Decision {
  const { state } = view;
  const { winner, lostBytes, why } = choice;
  const next = newRule(view, rule, winner, recruits);
  const reason = `${winner.id} leads term ${next.term}: its WAL goes furthest among the recruits, and ${why}.`;
  return changeStore(electedState(state, next, reason, lostBytes, view.wallMs), reason, {
    term: next.term,
    primary: winner.id,
    timeline: next.timeline,
    cohort: next.cohort.join(','),
    acks: next.acks,
    recruits: recruits.map(recruit => recruit.id).join(','),
    lostBytes,
  });
}

function newRule(view: View, rule: Rule, winner: Recruit, recruits: readonly Recruit[]): Rule {
  const { cohort, acks } = newCohort(view, winner, recruits);
  return {
    term: askedTerm(view.state),
    primary: winner.id,
    cohort,
    acks,
    timeline: 1 + Math.max(rule.timeline, ...recruits.map(recruit => recruit.end.timeline)),
    established: false,
    before: [...(rule.established ? [] : rule.before), ackRule(rule)],
  };
}

/** The running recruits that can follow the winner as they are: one that must be rewound first would hold up the new term. */
function newCohort(
  view: View,
  winner: Recruit,
  recruits: readonly Recruit[],
): { readonly cohort: readonly MemberId[]; readonly acks: number } {
  const { durability, members } = view.state;
  if (durability.mode === 'async') return { cohort: [], acks: 0 };
  const follows = (end: WalPosition): boolean => isAncestor(end, winner.end);
  const able = recruits.filter(r => r.id !== winner.id && r.ready && maySync(members[r.id]) && follows(r.end)).map(r => r.id);
  let cohort = countedByZone(view.state, winner.id, able);
  if (cohort.length === 0 && durability.whenAlone === 'block') {
    const all = Object.keys(members).filter(id => id !== winner.id && maySync(members[id]));
    cohort = countedByZone(view.state, winner.id, all);
  }
  return { cohort: cohort.toSorted(), acks: Math.min(durability.acks, cohort.length) };
}

function electedState(state: ClusterState, rule: Rule, reason: string, lostBytes: number, wallMs: number): ClusterState {
  const { proposal } = state;
  const record: TermRecord = {
    term: rule.term,
    primary: rule.primary,
    timeline: rule.timeline,
    trigger: proposal?.trigger ?? 'operator',
    reason,
    detectMs: proposal?.noticedMs ?? null,
    raisedAtMs: proposal?.atMs ?? wallMs,
    electedAtMs: wallMs,
    promotedAtMs: null,
    establishedAtMs: null,
    lostBytes,
  };
  return { ...state, rule, intent: null, history: [...state.history, record].slice(-HISTORY_LIMIT) };
}
