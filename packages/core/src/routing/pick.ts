import type { MemberId } from '../cluster/member.ts';
import { type Floor, satisfies } from './floors.ts';
import { type ConsistencyLevel, EVENTUAL } from './levels.ts';
import { type BalancePolicy, expectedLatencyMs, type ReplicaState } from './replica.ts';
import type { RouterView } from './view.ts';

/** Two expected waits within this factor are equal: below it lies noise, and always preferring the luckier replica would starve its peers. */
const INDIFFERENCE = 1.25;
/** Added to every latency: differences of fractions of a millisecond are noise. */
const LATENCY_FLOOR_MS = 0.5;
/** Share of the reads that a new or returned replica may get at first. */
const FIRST_SHARE = 0.1;
/**
 * What is known of a replica's speed grows old: one that was passed over for so many times its latency, within these bounds, is tried by one read.
 * Without that a single slow answer (a cold cache, a long report) would keep a replica idle for as long as its peers can bear the load.
 */
const TRIAL_AFTER_LATENCIES = 50;
const TRIAL_AFTER_MS = { least: 100, most: 1_000 } as const;
/** Random draws before all candidates are looked through in turn. */
const MAX_DRAWS = 6;

/** One read in search of a candidate. */
interface Search {
  readonly view: RouterView;
  readonly level: ConsistencyLevel;
  readonly floor: Floor;
  readonly nowMs: number;
  readonly random: () => number;
  /** Drawn once for the read: a candidate that starts slowly takes part only in so large a share of them. 0: all take part. */
  readonly slowStartLot: number;
}

/**
 * The candidate for a read: of two drawn at random among those that may serve it, the one with the shorter expected wait. Null when none may.
 * Weights decide how often a candidate is drawn and how much load it can bear. With zones, both are drawn from the router's own one, and a third
 * from elsewhere, whose wait counts `zonePenalty` times: it takes over what the own zone cannot bear.
 */
export function pickReplica(
  view: RouterView,
  level: ConsistencyLevel,
  floor: Floor,
  only: MemberId | null,
  nowMs: number,
  random: () => number,
): ReplicaState | null {
  const search: Search = { view, level, floor, nowMs, random, slowStartLot: random() };
  if (only === null) return pickAny(search) ?? pickAny({ ...search, slowStartLot: 0 });
  const same = view.byId.get(only);
  return same && maySend({ ...search, slowStartLot: 0 }, same) ? same : null;
}

/** Any candidate that would do but for its freshness, and may become fresh enough. */
export function findUsable(view: RouterView, nowMs: number): ReplicaState | null {
  const mayBecomeFresh = ({ server }: ReplicaState): boolean => server.applyDelayMs === undefined;
  return view.candidates.find(each => mayBecomeFresh(each) && isUsable(each, EVENTUAL, nowMs, view.policy.balance)) ?? null;
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
  // A session without writes has no floor that would keep it off, and would be surprised all the same.
  if (replica.server.applyDelayMs !== undefined && level.kind !== 'eventual') return false;
  if (nowMs < replica.ejectedUntilMs && ejected === 'never-ejected') return false;
  const silentMs = nowMs - replica.observedAtMs;
  if (silentMs > policy.maxSilenceMs) return false;
  // What was `lagMs` behind when it was last heard of may have stood still since.
  return level.kind !== 'bounded' || replica.lagMs + Math.max(0, silentMs) <= level.maxLagMs;
}

function pickAny(search: Search): ReplicaState | null {
  const { candidates, localCount } = search.view;
  const first = draw(search, 0, localCount, null);
  const second = first && localCount > 1 ? draw(search, 0, localCount, first) : null;
  const best = tried(search, first, second) ?? shorter(search, first, second);
  return localCount === candidates.length ? best : shorter(search, best, draw(search, localCount, candidates.length, null));
}

function maySend({ view, level, floor, nowMs, slowStartLot }: Search, replica: ReplicaState): boolean {
  if (!isUsable(replica, level, nowMs, view.policy.balance) || !satisfies(replica.position, floor, view.topology)) return false;
  const sinceMs = nowMs - replica.admittedAtMs;
  const { slowStartMs } = view.policy.balance;
  return sinceMs >= slowStartMs || slowStartLot <= Math.max(FIRST_SHARE, sinceMs / slowStartMs);
}

/** One of `candidates[from..to)` that may serve, by weight; null when there is none. */
function draw(search: Search, from: number, to: number, except: ReplicaState | null): ReplicaState | null {
  const { view, random } = search;
  const { candidates, heaviest } = view;
  const count = to - from;
  if (count <= 0) return null;
  for (let i = 0; i < MAX_DRAWS; i++) {
    const candidate = candidates[from + Math.floor(random() * count)] as ReplicaState;
    if (candidate === except || !maySend(search, candidate)) continue;
    const { weight } = candidate.server;
    // Only who weighs less than the heaviest may be passed over, which spares a random number in the usual case.
    if (weight >= heaviest || random() * heaviest < weight) return candidate;
  }
  const start = Math.floor(random() * count);
  for (let i = 0; i < count; i++) {
    const candidate = candidates[from + ((start + i) % count)] as ReplicaState;
    if (candidate !== except && maySend(search, candidate)) return candidate;
  }
  return null;
}

/** Of two candidates the one that has had nothing to do for so long that it is time to try it; null when there is none. */
function tried({ nowMs }: Search, first: ReplicaState | null, second: ReplicaState | null): ReplicaState | null {
  if (first === null || second === null) return null;
  const due = isDue(first, nowMs) ? first : isDue(second, nowMs) ? second : null;
  // Noted at once: the answer may be long in coming, and one read at a time is enough.
  if (due) due.triedAtMs = nowMs;
  return due;
}

function isDue(replica: ReplicaState, nowMs: number): boolean {
  if (replica.inFlight > 0) return false;
  const patienceMs = Math.min(Math.max(replica.latencyMs * TRIAL_AFTER_LATENCIES, TRIAL_AFTER_MS.least), TRIAL_AFTER_MS.most);
  return nowMs - Math.max(replica.lastFinishAtMs, replica.triedAtMs) >= patienceMs;
}

function shorter(search: Search, first: ReplicaState | null, second: ReplicaState | null): ReplicaState | null {
  if (first === null || second === null) return first ?? second;
  return expectedWait(search, second) * INDIFFERENCE < expectedWait(search, first) ? second : first;
}

/** Milliseconds until a statement sent now would be answered, on a scale that only orders candidates. */
function expectedWait({ view, nowMs }: Search, replica: ReplicaState): number {
  const { balance, zone } = view.policy;
  const queue = 1 + (replica.inFlight * view.heaviest) / replica.server.weight;
  const away = zone !== null && replica.server.zone !== zone ? balance.zonePenalty : 1;
  return (expectedLatencyMs(replica, nowMs) + LATENCY_FLOOR_MS) * queue * away;
}
