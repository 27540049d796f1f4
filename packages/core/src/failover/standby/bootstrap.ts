import type { Decision } from '../action.ts';
import { alarm } from '../alarms.ts';
import { chosenMember, dataOwners } from '../bootstrap.ts';
import { askedTerm, changeStore, repairDue, selfReport } from '../facts.ts';
import { repairAlarm } from '../follow.ts';
import type { View } from '../view.ts';
import { copySource, sourceAlarm } from './leader.ts';
import { chooseSource } from './source.ts';
import { underLeader } from './succession.ts';

/** A standby cluster without data: one member claims the task, copies the source, and leads; the others clone from it. */
export function bootstrapStandby(view: View, nowMs: number): readonly Decision[] {
  const report = selfReport(view);
  const { state, self } = view;
  if (report === null || nowMs - view.storeHeardAtMs > view.config.leaseMs) return [];
  const owners = dataOwners(view, nowMs);
  if (owners.length > 1 && owners.includes(self)) return [alarm('several-data-directories', { members: owners.join(', ') })];
  if (chosenMember(view, owners, nowMs) !== self) return [];
  if (state.proposal?.by !== self) {
    const proposal = { term: askedTerm(state) + 1, by: self, trigger: 'bootstrap', atMs: view.wallMs, noticedMs: 0 } as const;
    return [changeStore({ ...state, proposal }, `The standby cluster is new: ${self} is to copy the source.`)];
  }
  const facts = view.local.source ?? null;
  if (report.server.kind === 'absent') {
    if (facts === null || !repairDue(view, nowMs)) return repairAlarm(view);
    const source = chooseSource(facts.servers, null);
    if (source === null || facts.systemId === null) return [sourceAlarm(facts)];
    if (state.systemId === null)
      return [
        changeStore({ ...state, systemId: facts.systemId }, 'The source has told which cluster it is.', { systemId: facts.systemId }),
      ];
    return [copySource(view, source, null, 'The standby cluster begins with it.'), ...repairAlarm(view)];
  }
  if (report.server.kind !== 'stopped' || report.systemId === null || report.systemId !== state.systemId) return [];
  const reason = `${self} is the standby leader: the copy of the source is here.`;
  return [changeStore(underLeader(state, self, 'bootstrap', reason, view.wallMs), reason, { systemId: report.systemId })];
}
