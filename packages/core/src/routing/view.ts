import type { MemberId } from '../cluster/member.ts';
import type { RouterCausality } from './causality.ts';
import { currentTimeline } from './floors.ts';
import { type BalancePolicy, DEFAULT_BALANCE, newReplica, type ReplicaState } from './replica.ts';
import type { RoutableServer, Topology } from './topology.ts';

/** What the operator decided about reads. */
export interface ReadPolicy {
  readonly balance: BalancePolicy;
  /** `never`: not even when no replica can serve; `fallback`: then; `share`: as one among the replicas. */
  readonly readsOnPrimary: 'never' | 'fallback' | 'share';
  /** When no replica is fresh enough: wait up to `freshWaitMs` and then take the primary; the primary at once; or an error. */
  readonly onStale: 'wait' | 'primary' | 'error';
  readonly freshWaitMs: number;
  /** The router's own zone; null: zones do not matter. */
  readonly zone: string | null;
}

export const DEFAULT_READ_POLICY: ReadPolicy = {
  balance: DEFAULT_BALANCE,
  readsOnPrimary: 'fallback',
  onStale: 'wait',
  freshWaitMs: 20,
  zone: null,
};

/** All that a choice depends on besides the statement and the session. Made anew when the topology or the policy changes. */
export interface RouterView {
  readonly topology: Topology;
  /** Who may be drawn for a read: those of the router's own zone first; the primary among them when it shares the reads. */
  readonly candidates: readonly ReplicaState[];
  /** The same by their names: sessions remember who served them, and a fleet is too large to be looked through for each read. */
  readonly byId: ReadonlyMap<MemberId, ReplicaState>;
  /** So many candidates at the front are in the router's own zone; all of them when zones do not matter. */
  readonly localCount: number;
  /** Greatest weight of a candidate. */
  readonly heaviest: number;
  /** The primary as a candidate; null when it does not share the reads. */
  readonly primary: ReplicaState | null;
  readonly causality: RouterCausality;
  readonly policy: ReadPolicy;
}

export interface RouterViewInput {
  readonly topology: Topology;
  /** States of the topology's replicas, kept from view to view. */
  readonly replicas: readonly ReplicaState[];
  /** The primary's load, from {@link primaryAsCandidate}; only needed for `readsOnPrimary: share`. */
  readonly primary: ReplicaState | null;
  readonly causality: RouterCausality;
  readonly policy: ReadPolicy;
}

/** Prepares what {@link choose} needs, so that a choice does not depend on the number of replicas. */
export function routerView(input: RouterViewInput): RouterView {
  const { topology, causality, policy } = input;
  const shares = policy.readsOnPrimary === 'share' && topology.primary.kind === 'open';
  const primary = shares ? input.primary : null;
  const all = primary ? [...input.replicas, primary] : input.replicas;
  const isLocal = ({ server }: ReplicaState): boolean => policy.zone === null || server.zone === policy.zone;
  const local = all.filter(isLocal);
  const candidates = [...local, ...all.filter(candidate => !isLocal(candidate))];
  const byId = new Map(candidates.map(candidate => [candidate.server.id, candidate]));
  const heaviest = Math.max(0, ...candidates.map(candidate => candidate.server.weight));
  return { topology, candidates, byId, localCount: local.length, heaviest, primary, causality, policy };
}

const LAST_LSN = 0xffff_ffff_ffff_ffffn;

/** The primary as one who may be drawn for reads: always there, never stale. Keep it from view to view for its load. */
export function primaryAsCandidate(server: RoutableServer, topology: Topology, nowMs: number): ReplicaState {
  const state = newReplica(server, nowMs, 'warm');
  state.position = { timeline: currentTimeline(topology), lsn: LAST_LSN };
  state.observedAtMs = Number.POSITIVE_INFINITY;
  return state;
}

/**
 * Carries the states of replicas over to a new topology: those that stay keep theirs, new ones start slowly, and those that are gone are left out.
 * `start` is `warm` for the first topology that a router meets.
 */
export function replicasOf(topology: Topology, before: readonly ReplicaState[], nowMs: number, start: 'warm' | 'slow'): ReplicaState[] {
  return topology.replicas.map(server => {
    const kept = before.find(
      replica => replica.server.id === server.id && replica.server.host === server.host && replica.server.port === server.port,
    );
    if (!kept) return newReplica(server, nowMs, start);
    kept.server = server;
    return kept;
  });
}
