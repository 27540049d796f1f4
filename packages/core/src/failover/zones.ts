import { type ClusterState, isSynchronous, type MemberId, type MemberSpec, type Rule } from '../cluster/index.ts';

/**
 * Of these replicas those whose acknowledgement counts by where they stand: with `acksFrom: other-zones` those in another zone than the primary's where
 * there are any, else all. A member that has no zone is in nobody's other one.
 */
export function countedByZone(
  { members, durability }: Pick<ClusterState, 'members' | 'durability'>,
  primary: MemberId,
  ids: readonly MemberId[],
): readonly MemberId[] {
  if (durability.acksFrom === 'any-zone') return ids;
  const home = members[primary]?.zone ?? null;
  const elsewhere = ids.filter(id => {
    const zone = members[id]?.zone ?? null;
    return home !== null && zone !== null && zone !== home;
  });
  return elsewhere.length > 0 ? elsewhere : ids;
}

/** Whether commits are to wait for this replica, once it is close enough: where other zones alone count, not for one in the primary's own while there are others. */
export function isToCount(
  state: Pick<ClusterState, 'members' | 'durability'>,
  rule: Pick<Rule, 'primary' | 'cohort'> | null,
  spec: MemberSpec,
): boolean {
  if (state.durability.mode === 'async' || !isSynchronous(spec)) return false;
  if (rule === null || rule.cohort.includes(spec.id)) return true;
  const able = Object.values(state.members).filter(
    each => each.id !== rule.primary && isSynchronous(each) && (each.lifecycle === 'member' || each === spec),
  );
  const ids = able.map(({ id }) => id);
  return countedByZone(state, rule.primary, ids).includes(spec.id);
}
