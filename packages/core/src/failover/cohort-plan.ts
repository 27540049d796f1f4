import type { AckSet } from './synchronous-names.ts';

/**
 * How the set that can acknowledge (PostgreSQL's) and the set that can elect (the store's) are changed one at a time, so that at
 * every moment, each set of replicas that can acknowledge a commit meets each set that can elect without the primary:
 *
 *   an acknowledging set: `acks` members of PostgreSQL's cohort; an electing set: |cohort| - acks + 1 of the store's cohort;
 *   with acks 0 in the store only the primary itself can be elected.
 */
export type CohortStep =
  | { readonly kind: 'store'; readonly set: AckSet; readonly barrier: boolean }
  | { readonly kind: 'postgres'; readonly set: AckSet }
  | { readonly kind: 'done' };

/**
 * Every acknowledgement under `postgres` is seen by every election under `store`. No stranger may stand in PostgreSQL's cohort, even
 * where more acknowledgements would make up for it: while names change, each walsender has the old ones or the new ones, and one with
 * a new, lower count may count a stranger that still has the old names (syncrep.c: SyncRepGetCandidateStandbys takes each
 * walsender's own priority, but the count of the one that releases).
 */
export function covers(store: AckSet, postgres: AckSet): boolean {
  if (store.acks === 0) return true;
  return postgres.acks >= store.acks && postgres.cohort.every(id => store.cohort.includes(id));
}

/**
 * Whether the store may go from one set to the other without waiting: each electing set of `to` contains one of `from`, so whatever
 * was acknowledged before is still seen.
 */
export function widensElection(from: AckSet, to: AckSet): boolean {
  if (to.acks === 0) return true;
  if (from.acks === 0) return false;
  const dropped = from.cohort.filter(id => !to.cohort.includes(id)).length;
  return from.acks - to.acks >= dropped;
}

export function sameSet(a: AckSet, b: AckSet): boolean {
  return a.acks === b.acks && a.cohort.length === b.cohort.length && a.cohort.every(id => b.cohort.includes(id));
}

/**
 * The next step from (store, postgres) towards the target. Level-triggered: it may be cut off after any step, and the target may
 * change at any time. `barrier`: the step must wait until `acks` members of PostgreSQL's cohort have flushed the position at
 * which its names came into force.
 */
export function nextCohortStep(store: AckSet, postgres: AckSet, target: AckSet): CohortStep {
  if (sameSet(store, target)) return sameSet(postgres, target) ? { kind: 'done' } : { kind: 'postgres', set: target };
  if (widensElection(store, target) && covers(target, postgres)) return { kind: 'store', set: target, barrier: false };
  if (sameSet(postgres, target)) return { kind: 'store', set: target, barrier: true };
  if (covers(store, target)) return { kind: 'postgres', set: target };
  const cohort = [...new Set([...store.cohort, ...target.cohort])].sort();
  return { kind: 'store', set: { cohort, acks: Math.min(store.acks, target.acks) }, barrier: false };
}
