import type { MemberId } from '../cluster/member.ts';
import type { ConsistencyLevel } from './causality.ts';
import type { RouterView } from './choose.ts';
import { type Floor, satisfies } from './floors.ts';
import type { BalancePolicy, ReplicaState } from './replica.ts';

/** Two expected waits within this factor are equal: below it lies noise, and always preferring the luckier replica would starve its peers. */
const INDIFFERENCE = 1.25;
/** Added to every latency: differences of fractions of a millisecond are noise. */
const LATENCY_FLOOR_MS = 0.5;
/** A latency counts half after this long without a new one, so that a replica which was slow once is tried again. */
const LATENCY_HALF_LIFE_MS = 5_000;
/** Share that a replica starts with. */
const FIRST_SHARE = 0.1;
/** Random picks before all replicas are looked through in turn. */
const MAX_TRIES = 6;

/**
 * The replica for a read: of two chosen at random among those that may serve it, the one with the shorter expected wait. Null when none may.
 * Weights and slow start decide how often a replica is drawn and how much load it can bear; the router's own zone is preferred by counting the
 * wait elsewhere `zonePenalty` times.
 */
export function pickReplica(
  view: RouterView,
  level: ConsistencyLevel,
  floor: Floor,
  only: MemberId | null,
  nowMs: number,
  random: () => number,
): ReplicaState | null {
  if (only !== null) {
    const same = view.replicas.find(replica => replica.server.id === only);
    return same && isUsable(same, level, nowMs, view.policy.balance) && satisfies(same.position, floor, view.topology) ? same : null;
  }
  const first = draw(view, level, floor, null, nowMs, random);
  if (first === null) return null;
  const second = draw(view, level, floor, first, nowMs, random);
  if (second === null) return first;
  const { balance, zone } = view.policy;
  return expectedWait(second, nowMs, balance, zone) * INDIFFERENCE < expectedWait(first, nowMs, balance, zone) ? second : first;
}

/** Any replica that would do but for its freshness. */
export function findReplica(view: RouterView, level: ConsistencyLevel, nowMs: number): ReplicaState | null {
  return view.replicas.find(replica => isUsable(replica, level, nowMs, view.policy.balance)) ?? null;
}

/** Whether a replica may take reads of this level at all, its freshness apart. */
export function isUsable(replica: ReplicaState, level: ConsistencyLevel, nowMs: number, policy: BalancePolicy): boolean {
  if (replica.replayPaused || replica.lagging || replica.server.weight <= 0 || nowMs < replica.ejectedUntilMs) return false;
  const silentMs = nowMs - replica.observedAtMs;
  if (silentMs > policy.maxSilenceMs) return false;
  return level.kind !== 'bounded' || replica.lagMs + silentMs <= level.maxLagMs;
}

function draw(
  view: RouterView,
  level: ConsistencyLevel,
  floor: Floor,
  except: ReplicaState | null,
  nowMs: number,
  random: () => number,
): ReplicaState | null {
  const { replicas, topology, policy } = view;
  const count = replicas.length;
  if (count === 0) return null;
  let fallback: ReplicaState | null = null;
  for (let i = 0; i < MAX_TRIES; i++) {
    const replica = replicas[Math.floor(random() * count)] as ReplicaState;
    if (replica === except || !isUsable(replica, level, nowMs, policy.balance) || !satisfies(replica.position, floor, topology)) continue;
    if (random() * heaviest(replicas) <= share(replica, nowMs, policy.balance)) return replica;
    fallback = replica;
  }
  if (fallback) return fallback;
  const from = Math.floor(random() * count);
  for (let i = 0; i < count; i++) {
    const replica = replicas[(from + i) % count] as ReplicaState;
    if (replica !== except && isUsable(replica, level, nowMs, policy.balance) && satisfies(replica.position, floor, topology))
      return replica;
  }
  return null;
}

function heaviest(replicas: readonly ReplicaState[]): number {
  return replicas.length === 1 ? 0 : 100;
}

/** Weight, less while the replica starts slowly. */
function share(replica: ReplicaState, nowMs: number, policy: BalancePolicy): number {
  const sinceMs = nowMs - replica.admittedAtMs;
  if (sinceMs >= policy.slowStartMs) return replica.server.weight;
  return replica.server.weight * Math.max(FIRST_SHARE, sinceMs / policy.slowStartMs);
}

/** Milliseconds until a statement sent now would be answered, on a scale that only orders replicas. */
function expectedWait(replica: ReplicaState, nowMs: number, policy: BalancePolicy, zone: string | null): number {
  const idleMs = nowMs - replica.lastFinishAtMs;
  const latencyMs = replica.latencyMs / (1 + idleMs / LATENCY_HALF_LIFE_MS) + LATENCY_FLOOR_MS;
  const queue = 1 + (replica.inFlight * 100) / share(replica, nowMs, policy);
  const away = zone !== null && replica.server.zone !== zone ? policy.zonePenalty : 1;
  return latencyMs * queue * away;
}
