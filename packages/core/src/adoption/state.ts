import type { ClusterState, Durability, MemberSpec, Rule } from '../cluster/index.ts';

export interface AdoptedPrimary {
  readonly name: string;
  readonly spec: MemberSpec;
  readonly durability: Durability;
  readonly systemId: string;
  readonly timeline: number;
  /** Promises given before, of an earlier time with Understudy: the term lies above them. */
  readonly promisedTerm: number;
  /** Wall clock. */
  readonly atMs: number;
}

/**
 * The cluster that begins with a running primary: it leads, on the timeline that it writes, and no replica's acknowledgement counts until replicas have joined.
 * `before`: what the store holds, if anything; terms only grow.
 */
export function adoptedState(before: ClusterState | null, primary: AdoptedPrimary): ClusterState {
  const { name, spec, durability, systemId, timeline, promisedTerm, atMs } = primary;
  const term = Math.max(before?.proposal?.term ?? 0, before?.rule?.term ?? 0, promisedTerm) + 1;
  const rule: Rule = { term, primary: spec.id, cohort: [], acks: 0, timeline, established: true, before: [] };
  const record = {
    term,
    primary: spec.id,
    timeline,
    trigger: 'bootstrap',
    reason: `The running primary was adopted as ${spec.id}.`,
    detectMs: null,
    raisedAtMs: atMs,
    electedAtMs: atMs,
    promotedAtMs: atMs,
    establishedAtMs: atMs,
    lostBytes: 0,
  } as const;
  return {
    schema: 1,
    name,
    systemId,
    proposal: { term, by: spec.id, trigger: 'bootstrap', atMs, noticedMs: 0 },
    rule,
    members: { [spec.id]: spec },
    intent: null,
    paused: null,
    durability,
    history: [record],
  };
}
