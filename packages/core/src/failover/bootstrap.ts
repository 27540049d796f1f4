import type { ClusterState, MemberId, MemberReport, Rule } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { askedTerm, changeStore, decision, isForeign, isLive, mayLead, reportOf, selfReport } from './facts.ts';
import type { View } from './view.ts';

/**
 * No rule yet: one member claims the task in the store, makes the data (or brought it), and the store says that it leads; the others
 * clone from it. Nothing is made on the strength of an old view: two would make data that can never be joined.
 */
export function bootstrap(view: View, nowMs: number): readonly Decision[] {
  const report = selfReport(view);
  const { state } = view;
  if (report === null || nowMs - view.storeHeardAtMs > view.config.leaseMs) return [];
  const owners = dataOwners(view, nowMs);
  if (owners.length > 1 && owners.includes(view.self)) return [alarm('several-data-directories', { members: owners.join(', ') })];
  if (chosenMember(view, owners, nowMs) !== view.self) return [];
  if (state.proposal?.by !== view.self) {
    const proposal = { term: askedTerm(state) + 1, by: view.self, trigger: 'bootstrap', atMs: view.wallMs, noticedMs: 0 } as const;
    return [changeStore({ ...state, proposal }, `The cluster is new: ${view.self} is to make or bring its data.`)];
  }
  const { server } = report;
  if (server.kind === 'absent' && state.systemId === null)
    return [decision({ kind: 'initdb' }, 'The cluster is new, and this member comes first: make its data directory.')];
  if (server.kind !== 'stopped' || report.systemId === null) return [];
  const next = firstState(view, report.systemId, server.timeline);
  return [
    changeStore(next, `${view.self} leads term ${next.rule?.term}: the data of the cluster is here.`, {
      systemId: report.systemId,
      timeline: server.timeline,
    }),
  ];
}

/** The live member that has data; else the one that claimed the task; else the first by name, or the first live one when that does not come. */
export function chosenMember(view: View, owners: readonly MemberId[], nowMs: number): MemberId | null {
  const claimer = view.state.proposal?.by;
  if (owners[0] !== undefined) return owners[0];
  const patient = nowMs - Math.max(view.local.startedAtMs, view.local.seen.proposalAtMs) < view.config.electionTimeoutMs;
  if (claimer !== undefined && (patient || isLive(view, claimer, nowMs))) return claimer;
  const able = Object.keys(view.state.members)
    .filter(id => mayLead(view.state.members[id]))
    .sort();
  return (patient ? able[0] : able.find(id => isLive(view, id, nowMs))) ?? null;
}

export function dataOwners(view: View, nowMs: number): readonly MemberId[] {
  const owns = (report: MemberReport | null): boolean =>
    report !== null && report.server.kind !== 'absent' && report.systemId !== null && !isForeign(view.state, report);
  return Object.keys(view.state.members)
    .filter(id => isLive(view, id, nowMs) && owns(reportOf(view, id)))
    .sort();
}

function firstState(view: View, systemId: string, timeline: number): ClusterState {
  const { state, self: primary, wallMs } = view;
  const term = askedTerm(state);
  const rule: Rule = { term, primary, cohort: [], acks: 0, timeline, established: true, before: [] };
  const record = {
    term,
    primary,
    timeline,
    trigger: 'bootstrap',
    reason: 'The first member of the cluster.',
    detectMs: null,
    raisedAtMs: state.proposal?.atMs ?? wallMs,
    electedAtMs: wallMs,
    promotedAtMs: wallMs,
    establishedAtMs: wallMs,
    lostBytes: 0,
  } as const;
  return { ...state, systemId, rule, history: [...state.history, record] };
}
