import { performance } from 'node:perf_hooks';
import type { MemberId } from '@understudy/core/cluster';
import {
  type Choice,
  choose,
  type ConsistencyLevel,
  currentTimeline,
  DEFAULT_READ_POLICY,
  ejectOutliers,
  EVENTUAL,
  type Floor,
  type Histogram,
  isCovered,
  isUsable,
  LagClock,
  mergeFloors,
  newHistogram,
  newRouterCausality,
  noteCommit,
  noteCommitElsewhere,
  noteFloor,
  notePrimaryRead,
  noteReplicaRead,
  observe,
  observeReplay,
  type Position,
  primaryAsCandidate,
  type Probes,
  type ReadPolicy,
  recordAbandoned,
  recordFailure,
  recordFinish,
  recordStart,
  type ReadNeed,
  type ReadRequest,
  type ReplicaState,
  replicasOf,
  requirement,
  type RouteReason,
  type RouterCausality,
  type RouterView,
  type RoutableServer,
  routerView,
  satisfies,
  type SessionCausality,
  type Topology,
} from '@understudy/core/routing';
import { FreshWaits } from './fresh-waits.ts';
import type { Replay } from './monitor.ts';
import type { ProxyOptions } from './options.ts';
import { type PollHost, ReplicaPoll } from './replica-poll.ts';
import { PrimaryProbe, type ProbeHost, type ProbePurpose } from './primary-probe.ts';
import { SharedCommits } from './shared-commits.ts';

/** How often the servers are asked while nobody waits for them. */
const SLOW_POLL_MS = 250;
/** After a commit that no read asks about, the floor is fetched all the same, so that it is known when the primary dies. */
const IDLE_PROBE_MS = 5;
/** A bound in time is only as good as the samples of the primary: they are at most this share of it apart. */
const SAMPLES_PER_BOUND = 4;
/** Outliers in latency are looked for this often, in slow polls: every second. */
const POLLS_PER_OUTLIER_CHECK = 4;

/** A choice that ends by itself when something is heard. */
type Wait = Extract<Choice, { readonly kind: 'wait-probe' | 'wait-replay' }>;

/**
 * The effects around the pure core of routing: has the servers asked where they are, keeps the answers, and wakes those who wait for them.
 * The primary is asked only when a read needs it or shortly after a commit.
 */
export class Freshness implements ProbeHost, PollHost {
  readonly #options: ProxyOptions;
  #policy: ReadPolicy;
  readonly #causality: RouterCausality = newRouterCausality();
  readonly #commits: SharedCommits;
  readonly #waits: FreshWaits;
  readonly lag: LagClock = new LagClock();
  #view: RouterView;
  #primary: PrimaryProbe | null = null;
  readonly #polls = new Map<MemberId, ReplicaPoll>();
  #states: ReadonlyMap<MemberId, ReplicaState> = new Map();
  #sharing: ReplicaState | null = null;
  #probeTimer: NodeJS.Timeout | null = null;
  #slowTimer: NodeJS.Timeout | null = null;
  #slowPolls = 0;
  #stopped = false;
  /** How long reads had to wait, by the reason. A read may wait for its floor and then for a replica. */
  readonly waits: Map<RouteReason, Histogram> = new Map();
  /** pg_control's system identifier as decimal text, to which tokens are bound; null until a primary has told it. */
  systemIdentifier: string | null = null;

  constructor(options: ProxyOptions, topology: Topology, commits: SharedCommits = new SharedCommits()) {
    this.#options = options;
    this.#commits = commits;
    this.#policy = policyOf(options);
    this.#waits = new FreshWaits(options.maxClients);
    this.#view = this.#viewOf(topology, 'warm');
    this.#watchServers(topology);
  }

  get probes(): Probes {
    return this.#causality.probes;
  }

  /** Begins to ask. Resolves when each server has been asked once, so that the first reads need not wait. */
  async start(): Promise<void> {
    this.#slowTimer = setInterval(() => this.#slowPoll(), SLOW_POLL_MS);
    await Promise.all([this.#primary?.ask('floor'), ...[...this.#polls.values()].map(poll => poll.ask())]);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#slowTimer) clearInterval(this.#slowTimer);
    if (this.#probeTimer) clearTimeout(this.#probeTimer);
    this.#primary?.end();
    for (const poll of this.#polls.values()) poll.end();
    this.#waits.wakeAll();
  }

  follow(topology: Topology): void {
    this.#view = this.#viewOf(topology, 'slow');
    this.#watchServers(topology);
    this.#probe(this.#purpose());
    this.#pollAll();
    this.#waits.wakeAll();
  }

  /** The options have changed. */
  onOptions(): void {
    this.#policy = policyOf(this.#options);
    this.follow(this.#view.topology);
  }

  #viewOf(topology: Topology, start: 'warm' | 'slow'): RouterView {
    const now = performance.now();
    const replicas = replicasOf(topology, [...this.#states.values()], now, start);
    this.#sharing = this.#sharingPrimary(topology, now);
    const primary = this.#sharing;
    this.#states = new Map([...replicas, ...(primary ? [primary] : [])].map(state => [state.server.id, state]));
    return routerView({ topology, replicas, primary, causality: this.#causality, policy: this.#policy });
  }

  /** The primary among those who may be drawn for reads, if it is to share them. Its load is kept as long as it stays the primary of its timeline. */
  #sharingPrimary({ primary, ...topology }: Topology, nowMs: number): ReplicaState | null {
    if (this.#policy.readsOnPrimary !== 'share' || primary.kind === 'absent') return null;
    const before = this.#sharing;
    const same = before !== null && isSameServer(before.server, primary.server) && before.server.timeline === primary.server.timeline;
    return same ? before : primaryAsCandidate(primary.server, { ...topology, primary }, nowMs);
  }

  #watchServers(topology: Topology): void {
    const server = topology.primary.kind === 'absent' ? null : topology.primary.server;
    const probed = this.#primary;
    if (probed === null || server === null || !isSameServer(probed.server, server) || probed.term !== topology.term) {
      probed?.end();
      this.#primary = server === null ? null : new PrimaryProbe(server, topology.term, this.#options, this);
    }
    for (const [id, poll] of this.#polls) {
      if (topology.replicas.some(replica => replica.id === id) && this.#states.get(id) === poll.state) continue;
      poll.end();
      this.#polls.delete(id);
    }
    for (const { id } of topology.replicas) {
      const state = this.#states.get(id);
      if (state && !this.#polls.has(id)) this.#polls.set(id, new ReplicaPoll(state, this.#options, this));
    }
  }

  // ---- what sessions tell

  /** A commit is about to be acknowledged to a client. */
  noteCommit(session: SessionCausality): void {
    this.#commits.note();
    noteCommit(this.#causality, session);
    this.#probeTimer ??= setTimeout(() => {
      this.#probeTimer = null;
      if (this.#purpose() === 'floor') this.#probe('floor');
    }, IDLE_PROBE_MS);
  }

  notePrimaryRead(session: SessionCausality): void {
    notePrimaryRead(this.#causality, session);
  }

  noteReplicaRead(id: MemberId, session: SessionCausality): void {
    const state = this.#states.get(id);
    if (state !== undefined) noteReplicaRead(state, session);
  }

  started(id: MemberId): void {
    const state = this.#states.get(id);
    if (state !== undefined) recordStart(state);
  }

  finished(id: MemberId, latencyMs: number): void {
    const state = this.#states.get(id);
    if (state !== undefined) recordFinish(state, latencyMs, performance.now());
  }

  abandoned(id: MemberId): void {
    const state = this.#states.get(id);
    if (state !== undefined) recordAbandoned(state);
  }

  failed(id: MemberId, sent: 'started' | 'not-started'): void {
    const state = this.#states.get(id);
    if (state !== undefined) recordFailure(state, sent, performance.now(), this.#policy.balance);
  }

  // ---- what sessions ask

  /** The need of a read that begins now. */
  needNow(): ReadNeed {
    if (this.#commits.takeNews()) noteCommitElsewhere(this.#causality);
    return { mark: this.#causality.mark, floor: null };
  }

  choose(request: ReadRequest, need: ReadNeed, session: SessionCausality): Choice {
    const now = performance.now();
    if (request.level.kind === 'bounded' && now - this.lag.sampledAtMs > request.level.maxLagMs / SAMPLES_PER_BOUND) {
      this.#probe('sample');
      this.#pollAll();
    }
    const choice = choose(this.#viewFor(need), { demand: 'replica', ...request }, session, now, Math.random);
    if (choice.kind === 'wait-probe') this.#probe('floor');
    return choice;
  }

  /** Resolves when it is worth choosing again. */
  async until(choice: Wait): Promise<void> {
    if (this.#stopped) return;
    const sinceMs = performance.now();
    await this.#heard(choice);
    let waits = this.waits.get(choice.reason);
    if (waits === undefined) this.waits.set(choice.reason, (waits = newHistogram()));
    observe(waits, performance.now() - sinceMs);
  }

  #heard(choice: Wait): Promise<void> {
    if (choice.kind === 'wait-probe') return this.#waits.floor(choice.mark, choice.timeoutMs);
    const over = this.#waits.replay(choice.floor.lsn, choice.timeoutMs);
    this.#pollAll();
    return over;
  }

  /** Whether a read may be sent to this replica, on which other reads of the session are under way. */
  mayFollow(id: MemberId, level: ConsistencyLevel, need: ReadNeed, session: SessionCausality): boolean {
    const state = this.#states.get(id);
    if (state === undefined) return false;
    const view = this.#viewFor(need);
    const now = performance.now();
    const needed = requirement(level, session, view, now);
    return (
      needed.kind === 'floor' &&
      (needed.onlyReplica === null || needed.onlyReplica === id) &&
      isUsable(state, level, now, this.#policy.balance) &&
      satisfies(state.position, needed.floor, view.topology)
    );
  }

  /** The view in which nothing is newer than what the read must see. */
  #viewFor(need: ReadNeed): RouterView {
    const { probes, mark, floor } = this.#causality;
    if (need.floor === null) {
      if (!isCovered(probes, need.mark)) {
        return need.mark === mark ? this.#view : { ...this.#view, causality: { probes, mark: need.mark, floor } };
      }
      need.floor = floor;
    }
    if (need.mark === mark && need.floor === floor) return this.#view;
    return { ...this.#view, causality: { probes, mark: need.mark, floor: need.floor } };
  }

  /** The floor of everything that the session did, for its token; null while the primary is being asked: call again after {@link untilFloor}. */
  sessionFloor(session: SessionCausality): Floor | null {
    const needed = requirement({ kind: 'session' }, session, this.#view, performance.now());
    if (needed.kind === 'floor' && needed.onlyReplica === null && needed.floor.lsn > 0n) return needed.floor;
    if (needed.kind === 'floor' && isCovered(this.#causality.probes, 1))
      return mergeFloors(needed.floor, this.#causality.floor, this.#view.topology);
    return null;
  }

  /** Resolves when the primary has said where it is now, or after so long. */
  untilFloor(timeoutMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    const over = this.#waits.floor(this.probes.sent + 1, timeoutMs);
    this.#probe('floor');
    return over;
  }

  /** What is known of each replica, for people. */
  get replicas(): readonly ReplicaState[] {
    return this.#view.candidates;
  }

  /** Reads that wait for a fresh replica now. */
  get waiting(): number {
    return this.#waits.size;
  }

  // ---- what servers answer

  get wantedLsn(): bigint | null {
    return this.#stopped ? null : this.#waits.wantedLsn;
  }

  onFloor(number: number, position: Position): void {
    noteFloor(this.#causality, number, position, this.#view.topology);
    this.#waits.onFloor(this.probes.answered);
  }

  onIdentity(systemIdentifier: string): void {
    this.systemIdentifier ??= systemIdentifier;
  }

  onReplay(state: ReplicaState, probe: number, timeline: number, { lsn, paused }: Replay): void {
    const now = performance.now();
    const position = { timeline, lsn };
    const { topology } = this.#view;
    // Past the fork a replica is astray: its numbers say nothing about the primary's history.
    const isOnTheWay = satisfies(position, { timeline: currentTimeline(topology), lsn: 1n }, topology);
    const seen = {
      position,
      primaryLsn: this.lag.newest ?? 0n,
      lagMs: isOnTheWay ? this.lag.ageMs(lsn, now) : Number.POSITIVE_INFINITY,
      replayPaused: paused,
      probe,
    };
    observeReplay(state, seen, now, this.#policy.balance);
    // A replica that may not serve helps nobody who waits.
    if (isUsable(state, EVENTUAL, now, this.#policy.balance)) this.#waits.onReplay(lsn);
  }

  // ---- asking

  #purpose(): ProbePurpose {
    return isCovered(this.probes, this.#causality.mark) ? 'sample' : 'floor';
  }

  #probe(purpose: ProbePurpose): void {
    if (!this.#stopped) void this.#primary?.ask(purpose);
  }

  #pollAll(): void {
    if (!this.#stopped) for (const poll of this.#polls.values()) void poll.ask();
  }

  #slowPoll(): void {
    this.#probe(this.#purpose());
    this.#pollAll();
    this.#slowPolls += 1;
    if (this.#slowPolls % POLLS_PER_OUTLIER_CHECK === 0) ejectOutliers(this.#view.candidates, performance.now(), this.#policy.balance);
  }
}

function policyOf(options: ProxyOptions): ReadPolicy {
  const { freshWaitMs, onStale, readsOnPrimary, zone, replicaMaxLagMs, replicaMaxLagBytes } = options;
  const balance = { ...DEFAULT_READ_POLICY.balance, maxLagMs: replicaMaxLagMs, maxLagBytes: replicaMaxLagBytes };
  return { balance, freshWaitMs, onStale, readsOnPrimary, zone };
}

function isSameServer(a: RoutableServer, b: RoutableServer): boolean {
  return a.id === b.id && a.host === b.host && a.port === b.port;
}
