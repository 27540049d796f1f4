import { performance } from 'node:perf_hooks';
import type { Lsn } from '@understudy/core/cluster';
import {
  type Choice,
  choose,
  DEFAULT_READ_POLICY,
  ejectOutliers,
  type Floor,
  isCovered,
  mergeFloors,
  newRouterCausality,
  noteCommit,
  noteFloor,
  notePrimaryRead,
  noteReplicaRead,
  observeReplay,
  probeSent,
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
  type RouterCausality,
  type RouterView,
  routerView,
  type SessionCausality,
  type Topology,
} from '@understudy/core/routing';
import type { Answer, Monitor } from '../servers/monitor.ts';

/** Polls of a server while somebody waits for it, and while nobody does. */
const FAST_POLL_MS = 1;
const SLOW_POLL_MS = 250;
/** While there is no primary somebody has to say that it has become one. */
const SEARCH_POLL_MS = 50;
/** After a commit that no read asks about, the floor is fetched all the same, so that it is known when the primary dies. */
const IDLE_PROBE_MS = 5;
/** Samples of the primary's position, to tell a replica's lag in time: the last 16 seconds. */
const MAX_SAMPLES = 64;

/** A server under watch. */
interface Watched {
  readonly monitor: Monitor;
  asking: boolean;
}

/**
 * The effects around the pure core of routing: asks the servers where they are, keeps the answers, and wakes those who wait for them. A probe of the
 * primary is sent only when a read needs it or shortly after a commit; one answer serves all that waited.
 */
export class Freshness {
  readonly #policy: ReadPolicy;
  readonly #onReport: (id: string, answer: Answer | null) => void;
  readonly #causality: RouterCausality = newRouterCausality();
  readonly #watched: Map<string, Watched> = new Map();
  readonly #waiting: Set<() => void> = new Set();
  readonly #samples: { readonly atMs: number; readonly lsn: Lsn }[] = [];
  #states: ReplicaState[] = [];
  #view: RouterView;
  #probeTimer: NodeJS.Timeout | null = null;
  #pollTimer: NodeJS.Timeout | null = null;
  #stopped = false;
  /** pg_control's system identifier as decimal text, to which tokens are bound; null until a server has told it. */
  systemIdentifier: string | null = null;

  constructor(
    policy: Pick<ReadPolicy, 'freshWaitMs' | 'onStale' | 'readsOnPrimary'>,
    topology: Topology,
    onReport: (id: string, answer: Answer | null) => void,
  ) {
    this.#policy = { ...DEFAULT_READ_POLICY, ...policy };
    this.#onReport = onReport;
    this.#view = this.#viewOf(topology, 'warm');
  }

  get topology(): Topology {
    return this.#view.topology;
  }

  /** Begins to ask of itself. */
  start(): void {
    const again = (): void => {
      if (this.#stopped) return;
      void this.#probe(isCovered(this.#causality.probes, this.#causality.mark) ? 'sample' : 'floor');
      this.#pollAll();
      ejectOutliers(this.#states, performance.now(), this.#policy.balance);
      const searching = this.#view.topology.primary.kind === 'absent';
      this.#pollTimer = setTimeout(again, searching ? SEARCH_POLL_MS : SLOW_POLL_MS).unref();
    };
    again();
  }

  /** The servers to ask; those that are no longer among them are forgotten. */
  watch(monitors: ReadonlyMap<string, Monitor>): void {
    for (const [id, { monitor }] of this.#watched) if (monitors.get(id) !== monitor) this.#watched.delete(id);
    for (const [id, monitor] of monitors) if (!this.#watched.has(id)) this.#watched.set(id, { monitor, asking: false });
  }

  stop(): void {
    this.#stopped = true;
    if (this.#pollTimer) clearTimeout(this.#pollTimer);
    if (this.#probeTimer) clearTimeout(this.#probeTimer);
    this.#wake();
  }

  /** `warm`: the first topology, whose replicas need not start slowly. */
  follow(topology: Topology, start: 'warm' | 'slow'): void {
    this.#view = this.#viewOf(topology, start);
    if (!isCovered(this.#causality.probes, this.#causality.mark)) void this.#probe();
    this.#pollAll();
    this.#wake();
  }

  /** Asks every server once. */
  async askAll(): Promise<void> {
    await Promise.all([...this.#watched.keys()].map(id => this.#poll(id)));
  }

  #viewOf(topology: Topology, start: 'warm' | 'slow'): RouterView {
    this.#states = replicasOf(topology, this.#states, performance.now(), start);
    return routerView({ topology, replicas: this.#states, primary: null, causality: this.#causality, policy: this.#policy });
  }

  // ---- what clients tell

  /** A commit is about to be acknowledged. */
  noteCommit(session: SessionCausality): void {
    noteCommit(this.#causality, session);
    this.#probeTimer ??= setTimeout(() => {
      this.#probeTimer = null;
      if (!isCovered(this.#causality.probes, this.#causality.mark)) void this.#probe();
    }, IDLE_PROBE_MS).unref();
  }

  notePrimaryRead(session: SessionCausality): void {
    notePrimaryRead(this.#causality, session);
  }

  noteReplicaRead(id: string, session: SessionCausality): void {
    const state = this.#state(id);
    if (state !== undefined) noteReplicaRead(state, session);
  }

  started(id: string): void {
    const state = this.#state(id);
    if (state !== undefined) recordStart(state);
  }

  finished(id: string, latencyMs: number): void {
    const state = this.#state(id);
    if (state !== undefined) recordFinish(state, latencyMs, performance.now());
  }

  abandoned(id: string): void {
    const state = this.#state(id);
    if (state !== undefined) recordAbandoned(state);
  }

  failed(id: string, sent: 'started' | 'not-started'): void {
    const state = this.#state(id);
    if (state !== undefined) recordFailure(state, sent, performance.now(), this.#policy.balance);
  }

  #state(id: string): ReplicaState | undefined {
    return this.#states.find(s => s.server.id === id);
  }

  // ---- what clients ask

  /** The need of a read that begins now. */
  needNow(): ReadNeed {
    return { mark: this.#causality.mark, floor: null };
  }

  choose(request: ReadRequest, need: ReadNeed, session: SessionCausality): Choice {
    const choice = choose(this.#viewFor(need), { demand: 'replica', ...request }, session, performance.now(), Math.random);
    if (choice.kind === 'wait-probe') void this.#probe();
    return choice;
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

  /** The floor of everything that the session did, for its token; null while the servers are being asked. */
  sessionFloor(session: SessionCausality): Floor | null {
    const needed = requirement({ kind: 'session' }, session, this.#view, performance.now());
    if (needed.kind === 'floor' && needed.onlyReplica === null) return needed.floor;
    void this.#probe();
    this.#pollAll();
    return null;
  }

  /** Raises a session's floor. */
  raise(session: SessionCausality, floor: Floor): void {
    session.floor = mergeFloors(session.floor, floor, this.#view.topology);
  }

  /** Resolves at the next news (a floor, a replay position, another topology), or when the time is up. */
  news(timeoutMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
      this.#pollAll();
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }

  // ---- what servers answer

  async #probe(purpose: 'floor' | 'sample' = 'floor'): Promise<void> {
    const { primary } = this.#view.topology;
    if (primary.kind === 'absent' || this.#stopped) return;
    const { id } = primary.server;
    const watched = this.#watched.get(id);
    if (watched === undefined || watched.asking) return;
    watched.asking = true;
    // A floor is raised only for those who ask: at rest the newest records of the log may not be on their way to any replica yet.
    const number = purpose === 'floor' ? probeSent(this.#causality.probes) : null;
    const { term } = this.#view.topology;
    const answer = await watched.monitor.ask().catch(() => null);
    watched.asking = false;
    this.#report(id, answer);
    // An answer of a server that is not the primary of this term any more says nothing of its commits.
    if (answer?.role === 'primary' && this.#view.topology.term === term) {
      if (number !== null) noteFloor(this.#causality, number, answer, this.#view.topology);
      this.#samples.push({ atMs: performance.now(), lsn: answer.lsn });
      if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    }
    this.#wake();
  }

  #pollAll(): void {
    for (const id of this.#watched.keys()) void this.#poll(id);
  }

  async #poll(id: string): Promise<void> {
    const watched = this.#watched.get(id);
    const { primary } = this.#view.topology;
    // The primary is asked by probes.
    if (watched === undefined || watched.asking || (primary.kind !== 'absent' && primary.server.id === id)) return;
    watched.asking = true;
    const state = this.#state(id);
    const probe = state === undefined ? 0 : probeSent(state.probes);
    const answer = await watched.monitor.ask().catch(() => null);
    watched.asking = false;
    if (this.#stopped || this.#watched.get(id) !== watched) return;
    if (state !== undefined && this.#state(id) === state) this.#observe(state, answer, probe);
    this.#report(id, answer);
    if (answer !== null && state !== undefined) this.#wake();
    if (this.#waiting.size > 0) setTimeout(() => void this.#poll(id), answer === null ? SEARCH_POLL_MS : FAST_POLL_MS).unref();
  }

  #observe(state: ReplicaState, answer: Answer | null, probe: number): void {
    if (answer?.role !== 'replica') {
      // A replica that restarts may have replayed less than it had before: what is known of it is void.
      state.observedAtMs = Number.NEGATIVE_INFINITY;
      return;
    }
    const position = { timeline: answer.timeline || state.server.timeline, lsn: answer.lsn };
    const primaryLsn = this.#samples.at(-1)?.lsn ?? 0n;
    const seen = { position, primaryLsn, lagMs: this.#lagMs(answer.lsn), replayPaused: false, probe };
    observeReplay(state, seen, performance.now(), this.#policy.balance);
  }

  #report(id: string, answer: Answer | null): void {
    if (this.#stopped) return;
    this.systemIdentifier ??= answer?.systemIdentifier ?? null;
    this.#onReport(id, answer);
  }

  /** Upper bound of a replica's age: time since the newest sample of the primary that it has reached. */
  #lagMs(replayed: Lsn): number {
    const reached = this.#samples.findLast(s => s.lsn <= replayed);
    if (reached === this.#samples.at(-1)) return 0;
    return reached === undefined ? Number.POSITIVE_INFINITY : performance.now() - reached.atMs;
  }
}
