import type { MemberId } from '../cluster/member.ts';
import { type Floor, satisfies } from './floors.ts';
import { type ConsistencyLevel, EVENTUAL } from './levels.ts';
import type { BalancePolicy, ReplicaState } from './replica.ts';
import type { RouterView } from './view.ts';

/** Two expected waits within this factor are equal: below it lies noise, and always preferring the luckier replica would starve its peers. */
const INDIFFERENCE = 1.25;
/** Added to every latency: differences of fractions of a millisecond are noise. */
const LATENCY_FLOOR_MS = 0.5;
/** A latency counts half after this long without a new one, so that a replica which was slow once is tried again. */
const LATENCY_HALF_LIFE_MS = 5_000;
/** Share that a replica starts with. */
const FIRST_SHARE = 0.1;
/** Random draws before all candidates are looked through in turn. */
const MAX_DRAWS = 6;

/**
 * The candidate for a read: of two drawn at random among those that may serve it, the one with the shorter expected wait. Null when none may.
 * Weights and slow start decide how often a candidate is drawn and how much load it can bear. With zones, both are drawn from the router's own
 * one, and a third from elsewhere, whose wait counts `zonePenalty` times: it takes over what the own zone cannot bear.
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
    const same = view.candidates.find(candidate => candidate.server.id === only);
    return same && maySend(view, same, level, floor, nowMs) ? same : null;
  }
  const { candidates, localCount } = view;
  const first = draw(view, 0, localCount, level, floor, null, nowMs, random);
  const second = first && localCount > 1 ? draw(view, 0, localCount, level, floor, first, nowMs, random) : null;
  const best = shorter(view, first, second, nowMs);
  if (localCount === candidates.length) return best;
  return shorter(view, best, draw(view, localCount, candidates.length, level, floor, null, nowMs, random), nowMs);
}

/** Any candidate that would do but for its freshness. */
export function findUsable(view: RouterView, nowMs: number): ReplicaState | null {
  return view.candidates.find(candidate => isUsable(candidate, EVENTUAL, nowMs, view.policy.balance)) ?? null;
}

/** With all candidates ejected one of them is better than none: whichever returns first. */
export function findLastResort(view: RouterView, level: ConsistencyLevel, floor: Floor, nowMs: number): ReplicaState | null {
  let best: ReplicaState | null = null;
  for (const candidate of view.candidates) {
    if (best !== null && candidate.ejectedUntilMs >= best.ejectedUntilMs) continue;
    if (isUsable(candidate, level, nowMs, view.policy.balance, 'even-ejected') && satisfies(candidate.position, floor, view.topology))
      best = candidate;
  }
  return best;
}

/** Whether a replica may take reads of this level at all, its freshness apart. */
export function isUsable(
  replica: ReplicaState,
  level: ConsistencyLevel,
  nowMs: number,
  policy: BalancePolicy,
  ejected: 'never-ejected' | 'even-ejected' = 'never-ejected',
): boolean {
  if (replica.replayPaused || replica.lagging || replica.server.weight <= 0) return false;
  if (nowMs < replica.ejectedUntilMs && ejected === 'never-ejected') return false;
  const silentMs = nowMs - replica.observedAtMs;
  if (silentMs > policy.maxSilenceMs) return false;
  // What was `lagMs` behind when it was last heard of may have stood still since.
  return level.kind !== 'bounded' || replica.lagMs + Math.max(0, silentMs) <= level.maxLagMs;
}

function maySend(view: RouterView, replica: ReplicaState, level: ConsistencyLevel, floor: Floor, nowMs: number): boolean {
  return isUsable(replica, level, nowMs, view.policy.balance) && satisfies(replica.position, floor, view.topology);
}

/** One of `candidates[from..to)` that may serve, by weight; null when there is none. */
function draw(
  view: RouterView,
  from: number,
  to: number,
  level: ConsistencyLevel,
  floor: Floor,
  except: ReplicaState | null,
  nowMs: number,
  random: () => number,
): ReplicaState | null {
  const { candidates, heaviest, policy } = view;
  const count = to - from;
  if (count <= 0) return null;
  for (let i = 0; i < MAX_DRAWS; i++) {
    const candidate = candidates[from + Math.floor(random() * count)] as ReplicaState;
    if (candidate === except || !maySend(view, candidate, level, floor, nowMs)) continue;
    const share = shareOf(candidate, nowMs, policy.balance);
    // Only who has less than the greatest share may be passed over, which spares a random number in the usual case.
    if (share >= heaviest || random() * heaviest < share) return candidate;
  }
  const start = Math.floor(random() * count);
  for (let i = 0; i < count; i++) {
    const candidate = candidates[from + ((start + i) % count)] as ReplicaState;
    if (candidate !== except && maySend(view, candidate, level, floor, nowMs)) return candidate;
  }
  return null;
}

/** Weight, less while the replica starts slowly. */
function shareOf(replica: ReplicaState, nowMs: number, policy: BalancePolicy): number {
  const sinceMs = nowMs - replica.admittedAtMs;
  if (sinceMs >= policy.slowStartMs) return replica.server.weight;
  return replica.server.weight * Math.max(FIRST_SHARE, sinceMs / policy.slowStartMs);
}

function shorter(view: RouterView, first: ReplicaState | null, second: ReplicaState | null, nowMs: number): ReplicaState | null {
  if (first === null || second === null) return first ?? second;
  return expectedWait(view, second, nowMs) * INDIFFERENCE < expectedWait(view, first, nowMs) ? second : first;
}

/** Milliseconds until a statement sent now would be answered, on a scale that only orders candidates. */
function expectedWait(view: RouterView, replica: ReplicaState, nowMs: number): number {
  const { balance, zone } = view.policy;
  const idleMs = nowMs - replica.lastFinishAtMs;
  const latencyMs = replica.latencyMs / (1 + idleMs / LATENCY_HALF_LIFE_MS) + LATENCY_FLOOR_MS;
  const queue = 1 + (replica.inFlight * view.heaviest) / shareOf(replica, nowMs, balance);
  const away = zone !== null && replica.server.zone !== zone ? balance.zonePenalty : 1;
  return latencyMs * queue * away;
}
