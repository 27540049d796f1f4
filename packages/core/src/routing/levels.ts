/**
 * How fresh a read must be.
 * - `eventual`: anything that a replica has.
 * - `bounded`: from a replica that is not further behind than `maxLagMs`.
 * - `session`: everything that its own session wrote, read or was handed by a token; time never runs backwards.
 * - `strong`: that, and everything that this router acknowledged to anybody before the read began.
 */
export type ConsistencyLevel =
  | { readonly kind: 'eventual' }
  | { readonly kind: 'bounded'; readonly maxLagMs: number }
  | { readonly kind: 'session' }
  | { readonly kind: 'strong' };

export const EVENTUAL: ConsistencyLevel = { kind: 'eventual' };
export const SESSION: ConsistencyLevel = { kind: 'session' };
export const STRONG: ConsistencyLevel = { kind: 'strong' };
