import type { ClusterState, MemberId } from '../cluster/index.ts';

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
