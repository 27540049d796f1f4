import { lagBytes } from '../cluster/lsn.ts';
import type { Position } from './floors.ts';
import { newProbes, type Probes, probeAnswered } from './probes.ts';
import type { RoutableServer } from './topology.ts';

/** Limits and speeds of the balance. Times in milliseconds. */
export interface BalancePolicy {
  /** A replica further behind takes no reads; null: no limit. It returns at half the limit, so that it does not flap. */
  readonly maxLagMs: number | null;
  readonly maxLagBytes: number | null;
  /** A replica that has not been heard of for so long takes no reads at all. */
  readonly maxSilenceMs: number;
  /** How long a new or returned replica takes to get its full share. */
  readonly slowStartMs: number;
  /** So many failures in a row eject a replica… */
  readonly ejectAfterFailures: number;
  /** …for so long the first time, doubled each time up to `maxEjectionMs`. */
  readonly ejectionMs: number;
  readonly maxEjectionMs: number;
  /** A replica slower than its peers by this factor, and by `outlierFloorMs`, is ejected too; 0: never. */
  readonly outlierFactor: number;
  readonly outlierFloorMs: number;
  /** Expected wait on a replica of another zone counts this many times; 1: zones do not matter. */
  readonly zonePenalty: number;
}

export const DEFAULT_BALANCE: BalancePolicy = {
  maxLagMs: null,
  maxLagBytes: null,
  maxSilenceMs: 1_500,
  slowStartMs: 5_000,
  ejectAfterFailures: 3,
  ejectionMs: 1_000,
  maxEjectionMs: 30_000,
  outlierFactor: 10,
  outlierFloorMs: 100,
  zonePenalty: 3,
};

/**
 * What a router knows of one replica. A plain record that the functions below change in place: it is touched twice a statement, and a copy each
 * time would be the router's largest source of garbage. Times are on the router's own monotonic clock.
 */
export interface ReplicaState {
  server: RoutableServer;
  /** How far it has replayed, as last heard. The truth can only be further. */
  position: Position;
  /** Behind the primary, as last heard. */
  lagMs: number;
  lagBytes: number;
  /** When it was last heard of; -Infinity before the first time. */
  observedAtMs: number;
  /** Replay paused by an operator, or the server is being cloned: takes no reads. */
  replayPaused: boolean;
  /** Too far behind for `maxLagMs` or `maxLagBytes`. */
  lagging: boolean;
  /** Questions for its replay position. */
  readonly probes: Probes;
  /** Statements sent and not answered. */
  inFlight: number;
  /** Moving average of recent answers, of the first {@link FIRST_ANSWERS} the quickest; 0 before the first. */
  latencyMs: number;
  /** How many answers `latencyMs` is made of, up to {@link FIRST_ANSWERS}. */
  answers: number;
  lastFinishAtMs: number;
  /** When it was last chosen only to learn how fast it is now. */
  triedAtMs: number;
  failuresInRow: number;
  /** Takes no reads before this time. */
  ejectedUntilMs: number;
  ejectionsInRow: number;
  /** Since when it takes reads; its share grows from here over `slowStartMs`. */
  admittedAtMs: number;
}

/** What a monitor reports of a replica. */
export interface ReplayObservation {
  readonly position: Position;
  /** The primary's insert position at about the same time. */
  readonly primaryLsn: bigint;
  readonly lagMs: number;
  readonly replayPaused: boolean;
  /** Number of the question that this answers. */
  readonly probe: number;
}

/** `warm`: part of the cluster when the router started, so it need not start slowly. */
export function newReplica(server: RoutableServer, nowMs: number, start: 'warm' | 'slow'): ReplicaState {
  return {
    server,
    position: { timeline: 0, lsn: 0n },
    lagMs: 0,
    lagBytes: 0,
    observedAtMs: Number.NEGATIVE_INFINITY,
    replayPaused: false,
    lagging: false,
    probes: newProbes(),
    inFlight: 0,
    latencyMs: 0,
    answers: 0,
    lastFinishAtMs: nowMs,
    triedAtMs: Number.NEGATIVE_INFINITY,
    failuresInRow: 0,
    ejectedUntilMs: Number.NEGATIVE_INFINITY,
    ejectionsInRow: 0,
    admittedAtMs: start === 'warm' ? Number.NEGATIVE_INFINITY : nowMs,
  };
}

/** The replica reported where it stands. */
export function observeReplay(replica: ReplicaState, seen: ReplayObservation, nowMs: number, policy: BalancePolicy): void {
  const excluded = replica.replayPaused || replica.lagging;
  replica.position = seen.position;
  replica.lagMs = seen.lagMs;
  replica.lagBytes = lagBytes(seen.primaryLsn, seen.position.lsn);
  replica.observedAtMs = nowMs;
  replica.replayPaused = seen.replayPaused;
  replica.lagging = isLagging(replica, policy);
  probeAnswered(replica.probes, seen.probe);
  if (excluded && !replica.replayPaused && !replica.lagging) replica.admittedAtMs = nowMs;
}

function isLagging(replica: ReplicaState, policy: BalancePolicy): boolean {
  const share = replica.lagging ? 0.5 : 1;
  const byTime = policy.maxLagMs !== null && replica.lagMs > policy.maxLagMs * share;
  const byBytes = policy.maxLagBytes !== null && replica.lagBytes > policy.maxLagBytes * share;
  return byTime || byBytes;
}

/** A statement was sent to it. */
export function recordStart(replica: ReplicaState): void {
  replica.inFlight++;
}

/**
 * Weight of the newest answer in the moving average, when answers follow each other closely. A slow server gives no quick answer, but a quick one
 * gives slow answers at times (a long statement, a cold cache): so a quick answer says more.
 */
const SLOWER_GAIN = 0.1;
const FASTER_GAIN = 0.5;
/** What is known of a replica's speed is worth half after so long without an answer: what was slow once is tried again, and judged by that. */
const LATENCY_HALF_LIFE_MS = 5_000;

/**
 * The first answers come over new connections, from cold caches: until there are so many, nothing is known. Judged by the first alone, a replica would be
 * passed over for as long as its luckier peers can bear the load.
 */
const FIRST_ANSWERS = 4;

/** The latency to expect of a replica, 0 when nothing is known. */
export function expectedLatencyMs(replica: ReplicaState, nowMs: number): number {
  if (replica.answers < FIRST_ANSWERS) return 0;
  return replica.latencyMs * remembered(nowMs - replica.lastFinishAtMs);
}

/** How much of what was known is still worth something, 0 to 1. */
function remembered(idleMs: number): number {
  return idleMs < 50 ? 1 : 2 ** (-idleMs / LATENCY_HALF_LIFE_MS);
}

/** A statement was answered, be it with an SQL error: the server works. `latencyMs`: from sending to the end of the answer. */
export function recordFinish(replica: ReplicaState, latencyMs: number, nowMs: number): void {
  if (replica.inFlight > 0) replica.inFlight--;
  if (replica.answers < FIRST_ANSWERS) {
    replica.latencyMs = replica.answers === 0 ? latencyMs : Math.min(replica.latencyMs, latencyMs);
    replica.answers++;
  } else learnLatency(replica, latencyMs, nowMs);
  replica.lastFinishAtMs = nowMs;
  replica.failuresInRow = 0;
  replica.ejectionsInRow = 0;
}

function learnLatency(replica: ReplicaState, latencyMs: number, nowMs: number): void {
  const least = latencyMs < replica.latencyMs ? FASTER_GAIN : SLOWER_GAIN;
  const gain = Math.max(least, 1 - remembered(nowMs - replica.lastFinishAtMs));
  replica.latencyMs += (latencyMs - replica.latencyMs) * gain;
}

/** A statement was given up without an answer by the client's own doing (a cancel, a lost client): says nothing of the server. */
export function recordAbandoned(replica: ReplicaState): void {
  if (replica.inFlight > 0) replica.inFlight--;
}

/** The connection broke, could not be made, or gave no answer in time. `sent`: a statement had been counted by {@link recordStart}. */
export function recordFailure(replica: ReplicaState, sent: 'started' | 'not-started', nowMs: number, policy: BalancePolicy): void {
  if (sent === 'started' && replica.inFlight > 0) replica.inFlight--;
  replica.failuresInRow++;
  if (replica.failuresInRow >= policy.ejectAfterFailures && nowMs >= replica.ejectedUntilMs) eject(replica, nowMs, policy);
}

function eject(replica: ReplicaState, nowMs: number, policy: BalancePolicy): void {
  const length = Math.min(policy.ejectionMs * 2 ** Math.min(replica.ejectionsInRow, 16), policy.maxEjectionMs);
  replica.ejectionsInRow++;
  replica.failuresInRow = 0;
  replica.ejectedUntilMs = nowMs + length;
  replica.admittedAtMs = nowMs + length;
}

/**
 * Ejects replicas that are far slower than their peers (more than `outlierFactor` times the median, and `outlierFloorMs`), never more than
 * half of them: with most of them slow, slowness is not the replica's fault. Call it every second or so.
 */
export function ejectOutliers(replicas: readonly ReplicaState[], nowMs: number, policy: BalancePolicy): void {
  if (policy.outlierFactor <= 0 || replicas.length < 2) return;
  const active = replicas.filter(replica => nowMs >= replica.ejectedUntilMs && replica.latencyMs > 0);
  const latencies = active.map(replica => replica.latencyMs).sort((a, b) => a - b);
  // The lower median: of two replicas the slower one may be the outlier.
  const median = latencies[(latencies.length - 1) >> 1] ?? 0;
  let room = Math.floor(replicas.length / 2) - (replicas.length - active.length);
  for (const replica of active) {
    if (room <= 0) return;
    if (replica.latencyMs <= median * policy.outlierFactor || replica.latencyMs <= median + policy.outlierFloorMs) continue;
    eject(replica, nowMs, policy);
    // Its past is what it was ejected for: it is judged anew when it returns.
    replica.latencyMs = 0;
    replica.answers = 0;
    room--;
  }
}
