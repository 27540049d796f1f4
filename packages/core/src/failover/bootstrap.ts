import type { ClusterState, MemberId, MemberReport, Rule } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { changeStore, decision, isForeign, isLive, mayLead, reportOf, selfReport } from './facts.ts';
import type { View } from './view.ts';

/** No rule yet: one member makes the data (or brought it), and the store says which; the others clone from it. */
export function bootstrap(view: View, nowMs: number): readonly Decision[] {
  const report = selfReport(view);
  if (report === null || chosenMember(view, nowMs) !== view.self) return [];
  const owners = dataOwners(view, nowMs);
  if (owners.length > 1) return [alarm('several-data-directories', { members: owners.join(', ') })];
  const { server } = report;
  if (server.kind === 'absent' && view.state.systemId === null)
    return [decision({ kind: 'initdb' }, 'The cluster is new, and this member comes first: make its data directory.')];
  if (server.kind !== 'stopped' || report.systemId === null) return [];
  const next = firstState(view.state, report.systemId, view.self, server.timeline, view.wallMs);
  return [
    changeStore(next, `${view.self} leads term 1: the data of the cluster is here.`, {
      systemId: report.systemId,
      timeline: server.timeline,
    }),
  ];
}

/** The live member that brought data; else the first by name, and the first of the live ones when that one does not come. */
function chosenMember(view: View, nowMs: number): MemberId | null {
  const owner = dataOwners(view, nowMs)[0];
  if (owner !== undefined) return owner;
  const able = Object.keys(view.state.members)
    .filter(id => mayLead(view.state.members[id]))
    .sort();
  const patient = nowMs - view.local.startedAtMs < view.config.electionTimeoutMs;
  return (patient ? able[0] : able.find(id => isLive(view, id, nowMs))) ?? null;
}

function dataOwners(view: View, nowMs: number): readonly MemberId[] {
  const owns = (report: MemberReport | null): boolean =>
    report !== null && report.server.kind !== 'absent' && report.systemId !== null && !isForeign(view.state, report);
  return Object.keys(view.state.members)
    .filter(id => isLive(view, id, nowMs) && owns(reportOf(view, id)))
    .sort();
}

function firstState(state: ClusterState, systemId: string, primary: MemberId, timeline: number, wallMs: number): ClusterState {
  const rule: Rule = { term: 1, primary, cohort: [], acks: 0, timeline, established: true, before: [] };
  const proposal = { term: 1, by: primary, trigger: 'bootstrap', atMs: wallMs, noticedMs: 0 } as const;
  const record = {
    term: 1,
    primary,
    timeline,
    trigger: 'bootstrap',
    reason: 'The first member of the cluster.',
    detectMs: null,
    raisedAtMs: wallMs,
    electedAtMs: wallMs,
    promotedAtMs: wallMs,
    establishedAtMs: wallMs,
    lostBytes: 0,
  } as const;
  return { ...state, systemId, rule, proposal, history: [...state.history, record] };
}
