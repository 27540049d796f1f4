import type { ClusterState, Release } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { changeStore, decision, electionUnderWay } from './facts.ts';
import { type HeardReports, restartViewOf } from './restart-view.ts';
import type { View } from './view.ts';

/**
 * A cluster that is to go on without Understudy: nothing else is decided any more. The primary goes first, since it lets replicas in by its own rules then; each
 * member makes its server a plain one, says so in the store, and ends.
 */
export function release(view: View, { done }: Release): readonly Decision[] {
  const { state, self, local } = view;
  if (local.busy) return [];
  const primary = state.rule?.primary ?? null;
  if (done.includes(self)) return [decision({ kind: 'end-release' }, 'This server goes on without Understudy.')];
  if (primary !== null && primary !== self && !done.includes(primary)) return [];
  if (!local.isReleased) return [decision({ kind: 'release' }, 'An operator releases the cluster: make this server a plain one.')];
  const next = { ...state, released: { ...state.released!, done: [...done, self].sort() } };
  return [changeStore(next, `${self} goes on without Understudy.`, { member: self })];
}

/**
 * Why a cluster cannot be released as it is; null when it can. Whoever is away, or holds what others do not, would come back as a server that nobody has told
 * whom to follow.
 */
export function releaseRefusal(state: ClusterState, reports: HeardReports): string | null {
  const { primary, members } = restartViewOf(state, reports, { kind: 'lives', startedAtMs: {} });
  if (electionUnderWay(state) || state.rule?.established !== true) return 'an election is under way';
  const leaving = Object.values(state.members).find(({ lifecycle }) => lifecycle === 'leaving');
  if (leaving !== undefined) return `${leaving.id} is leaving`;
  const unwell = members.find(({ isWell }) => !isWell);
  if (unwell !== undefined) return `${unwell.id} is ${unwell.detail}; bring it back, or remove it`;
  return primary === null ? 'there is no open primary' : null;
}
