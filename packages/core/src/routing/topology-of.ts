import {
  type ClusterState,
  type Intent,
  type MemberId,
  type MemberReport,
  parseFollowName,
  type Rule,
  type StandbyOf,
  sourceText,
} from '../cluster/index.ts';
import type { PrimaryState, RoutableServer, Topology } from './topology.ts';

/** When this router first saw the operator's wish for which it drains, on its own monotonic clock. */
export interface DrainClock {
  readonly intentId: string;
  readonly untilMs: number;
}

/**
 * What a router may do, from what the store and the members say. A primary is open only when its rule is established, no
 * newer term is asked for, and it has itself confirmed that its old commits cannot be lost.
 */
export function topologyOf(state: ClusterState, reports: ReadonlyMap<MemberId, MemberReport>, drain: DrainClock | null): Topology {
  const { rule } = state;
  if (state.standby) return standbyTopology(state, state.standby, reports);
  if (!rule) return { term: 0, primary: { kind: 'absent', reason: 'the cluster is being created' }, replicas: [], history: [] };
  const leader = reports.get(rule.primary)?.server;
  return {
    term: rule.term,
    primary: primaryState(state, rule, reports, drain),
    replicas: Object.keys(state.members).flatMap(id => replicaOf(state, rule, id, reports.get(id)) ?? []),
    history: leader?.kind === 'primary' && leader.timeline === rule.timeline ? leader.history : [],
  };
}

/** Nobody takes writes, and all members are replicas; what they show was committed at the source. */
function standbyTopology(state: ClusterState, { source }: StandbyOf, reports: ReadonlyMap<MemberId, MemberReport>): Topology {
  const elsewhere = sourceText(source);
  const reason = `this is a standby cluster, and writes are taken by its source (${elsewhere})`;
  return {
    term: state.rule?.term ?? 0,
    primary: { kind: 'absent', reason, elsewhere },
    replicas: Object.keys(state.members).flatMap(id => standbyReplicaOf(state, id, reports.get(id)) ?? []),
    history: [],
  };
}

/** One that is cut off from the source goes on serving what it has: how far it is behind is told, and whoever sets a bound is not sent there. */
function standbyReplicaOf(state: ClusterState, id: MemberId, report: MemberReport | undefined): RoutableServer | null {
  const server = report?.server;
  if (server?.kind !== 'replica' || server.replayPaused) return null;
  if (state.members[id]?.lifecycle !== 'member' || report?.systemId !== state.systemId) return null;
  return routable(state, id, server.timeline);
}

/** The wish for which transactions on the primary are to end: it is to go, or to be restarted. */
export function drainingIntent({ intent, rule }: ClusterState): Intent | null {
  if (intent?.kind === 'switchover') return intent;
  return intent?.kind === 'restart' && intent.member === rule?.primary ? intent : null;
}

function primaryState(
  state: ClusterState,
  rule: Rule,
  reports: ReadonlyMap<MemberId, MemberReport>,
  drain: DrainClock | null,
): PrimaryState {
  if (state.proposal && state.proposal.term > rule.term) {
    return { kind: 'absent', reason: `an election for term ${state.proposal.term} is under way` };
  }
  const spec = state.members[rule.primary];
  const report = reports.get(rule.primary);
  if (!spec || !report) return { kind: 'absent', reason: `${rule.primary}, the primary of term ${rule.term}, has not been heard of yet` };
  const { server } = report;
  if (server.kind !== 'primary' || server.timeline !== rule.timeline) {
    const reason = `${rule.primary}, elected for term ${rule.term}, is not open yet (${server.kind})`;
    const isNext = server.kind === 'replica' && report.promisedTerm === rule.term;
    return { kind: 'absent', reason, ...(isNext ? { next: routable(state, rule.primary, server.timeline) } : {}) };
  }
  const target = routable(state, rule.primary, server.timeline);
  if (!rule.established || report.openTerm !== rule.term) return { kind: 'unconfirmed', server: target };
  const intent = drainingIntent(state);
  if (intent !== null && intent.fromTerm === rule.term && drain?.intentId === intent.id) {
    return { kind: 'draining', server: target, drainUntilMs: drain.untilMs };
  }
  return { kind: 'open', server: target };
}

/**
 * A replica that may serve reads. Under an established rule it must follow the rule's primary, or cascade from one that does. While an election is under way, the
 * isolated members of the old cohort go on serving what they have; the old primary itself may hold writes that nobody
 * acknowledged, so it does not. Until a new rule is established a write that a replica shows could still be lost.
 */
function replicaOf(state: ClusterState, rule: Rule, id: MemberId, report: MemberReport | undefined): RoutableServer | null {
  const server = report?.server;
  if (id === rule.primary || !rule.established || server?.kind !== 'replica' || server.replayPaused) return null;
  // It is about to be shut down: reads that are on their way may end, new ones go elsewhere.
  if (state.intent?.kind === 'restart' && state.intent.member === id) return null;
  if (state.members[id]?.lifecycle !== 'member' || report?.systemId !== state.systemId) return null;
  const electing = state.proposal !== null && state.proposal.term > rule.term;
  const follows = server.followsAs === null ? null : parseFollowName(server.followsAs);
  const current = follows ? follows.term === rule.term : electing && rule.cohort.includes(id);
  return current ? routable(state, id, server.timeline) : null;
}

function routable(state: ClusterState, id: MemberId, timeline: number): RoutableServer {
  const spec = state.members[id]!;
  const { host, port, readWeight: weight, zone, applyDelayMs } = spec;
  return { id, host, port, timeline, weight, zone, ...(applyDelayMs > 0 ? { applyDelayMs } : {}) };
}
