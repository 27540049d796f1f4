import {
  DEFAULT_READ_POLICY,
  newReplica,
  newRouterCausality,
  noteFloor,
  observeReplay,
  type PrimaryState,
  probeSent,
  type ReadPolicy,
  type ReplicaState,
  type RoutableServer,
  type RouterCausality,
  type RouterView,
  routerView,
  type Topology,
} from '../../src/routing/index.ts';

/** The same sequence for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export function server(id: string, part: Partial<RoutableServer> = {}): RoutableServer {
  return { id, host: '127.0.0.1', port: 5433, timeline: 1, weight: 100, zone: null, ...part };
}

export function topology(replicas: readonly RoutableServer[], part: Partial<Topology> = {}): Topology {
  return { term: 1, primary: { kind: 'open', server: server('n1') }, replicas, history: [], ...part };
}

/** A replica that reported at `nowMs` that it has replayed up to `lsn`. */
export function replicaAt(id: string, lsn: bigint, nowMs: number, part: Partial<RoutableServer> = {}): ReplicaState {
  const replica = newReplica(server(id, part), nowMs, 'warm');
  report(replica, lsn, nowMs);
  return replica;
}

/** The replica answers a question sent just now. */
export function report(
  replica: ReplicaState,
  lsn: bigint,
  nowMs: number,
  policy: ReadPolicy = DEFAULT_READ_POLICY,
  part: { lagMs?: number; paused?: boolean; primaryLsn?: bigint } = {},
): void {
  const seen = {
    position: { timeline: replica.server.timeline, lsn },
    primaryLsn: part.primaryLsn ?? lsn,
    lagMs: part.lagMs ?? 0,
    replayPaused: part.paused ?? false,
    probe: probeSent(replica.probes),
  };
  observeReplay(replica, seen, nowMs, policy.balance);
}

/** The primary is asked now, and answers. */
export function askPrimary(router: RouterCausality, lsn: bigint, of: Topology, timeline = 1): void {
  noteFloor(router, probeSent(router.probes), { timeline, lsn }, of);
}

/** A router that has asked its primary once. */
export function routerAt(lsn: bigint, of: Topology): RouterCausality {
  const router = newRouterCausality();
  askPrimary(router, lsn, of);
  return router;
}

export interface ViewParts {
  readonly policy?: Partial<ReadPolicy>;
  readonly primary?: PrimaryState;
  readonly isStale?: true;
  readonly causality?: RouterCausality;
  readonly primaryCandidate?: ReplicaState;
}

export function viewOf(replicas: readonly ReplicaState[], parts: ViewParts = {}): RouterView {
  const of = topology(
    replicas.map(replica => replica.server),
    { ...(parts.primary ? { primary: parts.primary } : {}), ...(parts.isStale ? { isStale: true as const } : {}) },
  );
  return routerView({
    topology: of,
    replicas,
    primary: parts.primaryCandidate ?? null,
    causality: parts.causality ?? routerAt(0n, of),
    policy: { ...DEFAULT_READ_POLICY, ...parts.policy },
  });
}
