import type { ClusterState, MemberId, MemberSpec } from '../cluster/index.ts';
import { type HeardReports, restartViewOf } from './restart-view.ts';

/** A member that gives its place to another one, which runs on another machine. */
export interface Move {
  readonly from: MemberId;
  readonly to: MemberId;
}

export type MoveStep =
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'switchover'; readonly from: MemberId; readonly to: MemberId }
  | { readonly kind: 'remove'; readonly member: MemberId }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'done' };

/**
 * What a move does next: the new member is waited for until it counts, then leads if the old one did, and then the old one goes. From what is seen alone, so
 * it goes on where it was cut off; and at no moment do fewer replicas count than before. Pure.
 */
export function nextMoveStep(state: ClusterState, reports: HeardReports, { from, to }: Move): MoveStep {
  const view = restartViewOf(state, reports, { kind: 'lives', startedAtMs: {} });
  const successor = view.members.find(({ id }) => id === to);
  if (successor === undefined) return { kind: 'wait', why: `${to} has not joined yet: start \`understudy member\` on the other machine` };
  if (state.members[from] === undefined) return { kind: 'done' };
  if (state.members[from].lifecycle === 'leaving') return { kind: 'wait', why: `${from} is leaving` };
  if (view.primary === null) return { kind: 'wait', why: 'there is no open primary' };
  if (!successor.isWell) return { kind: 'wait', why: `${to} is ${successor.detail ?? 'not ready yet'}` };
  if (view.primary === from)
    return successor.mayLead
      ? { kind: 'switchover', from, to }
      : { kind: 'refused', why: `${from} leads, and ${to} is marked nofailover.` };
  const others = view.members.filter(({ id }) => id !== from);
  const left = others.filter(({ inCohort, isWell }) => inCohort && isWell).length;
  const isEnough = !view.protects || left >= Math.max(1, view.acks);
  const away = others.find(({ isWell }) => !isWell);
  // After a change of the primary some come back a moment later.
  if (!isEnough && away !== undefined) return { kind: 'wait', why: `${away.id} is ${away.detail ?? 'not back yet'}` };
  if (!isEnough) return { kind: 'refused', why: `Without ${from} fewer replicas would be left than commits wait for (${view.acks}).` };
  return { kind: 'remove', member: from };
}

/** Who streamed from the member that goes streams from the one that takes its place; that one from whom it streamed itself. Pure. */
export function followersMoved(members: ClusterState['members'], { from, to }: Move): ClusterState['members'] {
  const after = (spec: MemberSpec): MemberSpec => {
    if (spec.follows !== from) return spec;
    return { ...spec, follows: spec.id === to ? (members[from]?.follows ?? null) : to };
  };
  return Object.fromEntries(Object.values(members).map(spec => [spec.id, after(spec)]));
}
