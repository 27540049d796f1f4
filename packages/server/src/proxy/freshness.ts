import { performance } from 'node:perf_hooks';
import type { Lsn } from '@understudy/core/cluster';
import {
  type Choice,
  choose,
  type ConsistencyLevel,
  DEFAULT_READ_POLICY,
  type Floor,
  isCovered,
  isUsable,
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
  type ReplicaState,
  replicasOf,
  requirement,
  type RouterCausality,
  type RouterView,
  routerView,
  type RoutableServer,
  satisfies,
  type SessionCausality,
  type Topology,
} from '@understudy/core/routing';
import { Monitor } from './monitor.ts';
import type { ProxyOptions } from './options.ts';

/** Polls of a replica while somebody waits for it, and while nobody does. */
const FAST_POLL_MS = 1;
const SLOW_POLL_MS = 250;
/** After a commit that no read asks about, the floor is fetched all the same, so that it is known when the primary dies. */
const IDLE_PROBE_MS = 5;
/** Samples of the primary's position, to tell a replica's lag in time: the last 16 seconds. */
const MAX_SAMPLES = 64;

/** What one read must see, fixed when it begins: commits that are acknowledged while it waits are not its business. */
export interface ReadNeed {
  /** The primary's question whose answer covers all commits before the read. */
  readonly mark: number;
  /** That answer, once it is there. */
  floor: Floor | null;
}

/** What a read wishes. */
export interface ReadRequest {
  readonly wish: 'auto' | 'primary' | 'replica';
  readonly level: ConsistencyLevel;
  readonly waitedMs: number;
}

/**
 * The effects around the pure core of routing: asks the servers where they are, keeps the answers, and wakes those who wait for them.
 * A probe of the primary is sent only when a read needs it or shortly after a commit; one answer serves all that waited.
 */
export class Freshness {
  readonly #options: ProxyOptions;
  readonly #policy: ReadPolicy;
  readonly #causality: RouterCausality = newRouterCausality();
  #view: RouterView;
  #primary: Monitor | null = null;
  #probing = false;
  readonly #monitors = new Map<string, { readonly monitor: Monitor; polling: boolean }>();
  #states: ReplicaState[] = [];
  #probeTimer: NodeJS.Timeout | null = null;
  #slowTimer: NodeJS.Timeout | null = null;
  readonly #waiting = new Set<() => void>();
  readonly #samples: { readonly atMs: number; readonly lsn: Lsn }[] = [];
  #stopped = false;
  /** pg_control's system identifier as decimal text, to which tokens are bound; null until a primary has told it. */
  systemIdentifier: string | null = null;

  constructor(options: ProxyOptions, topology: Topology) {
    this.#options = options;
    const { freshWaitMs, onStale, readsOnPrimary } = options;
    this.#policy = { ...DEFAULT_READ_POLICY, freshWaitMs, onStale, readsOnPrimary };
    this.#view = this.#viewOf(topology, 'warm');
    this.#watchServers(topology, 'same-term');
  }

  /** Begins to ask. Resolves when each server has been asked once, so that the first reads need not wait. */
  async start(): Promise<void> {
    this.#slowTimer = setInterval(() => {
      void this.#probe(isCovered(this.#causality.probes, this.#causality.mark) ? 'sample' : 'floor');
      this.#pollAll();
    }, SLOW_POLL_MS);
    await Promise.all([this.#probe(), ...[...this.#monitors.keys()].map(id => this.#poll(id))]);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#slowTimer) clearInterval(this.#slowTimer);
    if (this.#probeTimer) clearTimeout(this.#probeTimer);
    this.#primary?.end();
    for (const { monitor } of this.#monitors.values()) monitor.end();
    this.#wake();
  }

  follow(topology: Topology): void {
    const term = topology.term === this.#view.topology.term ? 'same-term' : 'other-term';
    this.#view = this.#viewOf(topology, 'slow');
    this.#watchServers(topology, term);
    if (!isCovered(this.#causality.probes, this.#causality.mark)) void this.#probe();
    this.#pollAll();
    this.#wake();
  }

  #viewOf(topology: Topology, start: 'warm' | 'slow'): RouterView {
    this.#states = replicasOf(topology, this.#states, performance.now(), start);
    return routerView({ topology, replicas: this.#states, primary: null, causality: this.#causality, policy: this.#policy });
  }

  #watchServers(topology: Topology, term: 'same-term' | 'other-term'): void {
    const server = topology.primary.kind === 'absent' ? null : topology.primary.server;
    if (!sameServer(this.#primary?.server ?? null, server) || term === 'other-term') {
      this.#primary?.end();
      this.#primary = server === null ? null : new Monitor(server, this.#options);
      // An answer that is still under way came from another primary or another life of this one.
      this.#probing = false;
    }
    for (const [id, { monitor }] of this.#monitors) {
      if (sameServer(monitor.server, topology.replicas.find(r => r.id === id) ?? null)) continue;
      monitor.end();
      this.#monitors.delete(id);
    }
    for (const replica of topology.replicas) {
      if (!this.#monitors.has(replica.id)) this.#monitors.set(replica.id, { monitor: new Monitor(replica, this.#options), polling: false });
    }
  }

  // ---- what sessions tell

  /** A commit is about to be acknowledged to a client. */
  noteCommit(session: SessionCausality): void {
    noteCommit(this.#causality, session);
    this.#probeTimer ??= setTimeout(() => {
      this.#probeTimer = null;
      if (!isCovered(this.#causality.probes, this.#causality.mark)) void this.#probe();
    }, IDLE_PROBE_MS);
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

  // ---- what sessions ask

  /** The need of a read that begins now. */
  needNow(): ReadNeed {
    return { mark: this.#causality.mark, floor: null };
  }

  choose(request: ReadRequest, need: ReadNeed, session: SessionCausality): Choice {
    const choice = choose(this.#viewFor(need), { demand: 'replica', ...request }, session, performance.now(), Math.random);
    if (choice.kind === 'wait-probe') void this.#probe();
    return choice;
  }

  /** Whether a read may be sent to this replica, on which other reads of the session are under way. */
  mayFollow(id: string, level: ConsistencyLevel, need: ReadNeed, session: SessionCausality): boolean {
    const state = this.#state(id);
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

  /** The floor of everything that the session did, for its token; null while the primary is being asked. */
  sessionFloor(session: SessionCausality): Floor | null {
    const needed = requirement({ kind: 'session' }, session, this.#view, performance.now());
    if (needed.kind === 'floor' && needed.onlyReplica === null && needed.floor.lsn > 0n) return needed.floor;
    if (needed.kind === 'floor' && isCovered(this.#causality.probes, 1))
      return mergeFloors(needed.floor, this.#causality.floor, this.#view.topology);
    void this.#probe();
    return null;
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
    const monitor = this.#primary;
    if (this.#probing || monitor === null || this.#stopped) return;
    this.#probing = true;
    // A floor is raised only for those who ask: at rest the newest records of the log may not be on their way to any replica yet.
    const number = purpose === 'floor' ? probeSent(this.#causality.probes) : null;
    try {
      const position = await monitor.probePrimary();
      if (monitor !== this.#primary) return;
      if (number !== null) noteFloor(this.#causality, number, position, this.#view.topology);
      this.#samples.push({ atMs: performance.now(), lsn: position.lsn });
      if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
      this.systemIdentifier ??= await monitor.systemIdentifier();
    } catch {
      // No floor, no fresh read: the readers' own deadlines send them to the primary, which waits for one.
    } finally {
      if (monitor === this.#primary) this.#probing = false;
    }
    this.#wake();
  }

  #pollAll(): void {
    for (const id of this.#monitors.keys()) void this.#poll(id);
  }

  async #poll(id: string): Promise<void> {
    const watched = this.#monitors.get(id);
    const state = this.#state(id);
    if (watched === undefined || state === undefined || watched.polling) return;
    watched.polling = true;
    const probe = probeSent(state.probes);
    let heard = false;
    try {
      const lsn = await watched.monitor.replayLsn();
      if (lsn !== null && this.#state(id) === state) {
        const position = { timeline: state.server.timeline, lsn };
        const primaryLsn = this.#samples.at(-1)?.lsn ?? 0n;
        observeReplay(
          state,
          { position, primaryLsn, lagMs: this.#lagMs(lsn), replayPaused: false, probe },
          performance.now(),
          this.#policy.balance,
        );
        heard = true;
      }
    } catch {
      // A replica that restarts may have replayed less than it had before: what is known of it is void.
      state.observedAtMs = Number.NEGATIVE_INFINITY;
    } finally {
      watched.polling = false;
    }
    if (heard) this.#wake();
    if (this.#waiting.size > 0 && !this.#stopped) setTimeout(() => void this.#poll(id), heard ? FAST_POLL_MS : SLOW_POLL_MS);
  }

  /** Upper bound of a replica's age: time since the newest sample of the primary that it has reached. */
  #lagMs(replayed: Lsn): number {
    const reached = this.#samples.findLast(s => s.lsn <= replayed);
    if (reached === this.#samples.at(-1)) return 0;
    return reached === undefined ? Number.POSITIVE_INFINITY : performance.now() - reached.atMs;
  }
}

function sameServer(a: RoutableServer | null, b: RoutableServer | null): boolean {
  return a?.id === b?.id && a?.host === b?.host && a?.port === b?.port;
}
