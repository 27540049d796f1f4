import {
  DEFAULT_READ_POLICY,
  newReplica,
  newRouterCausality,
  newSessionCausality,
  noteCommit,
  noteFloor,
  noteReplicaRead,
  observeReplay,
  probeSent,
  type ReplicaState,
  type RoutableServer,
  type RouterView,
  recordFinish,
  recordStart,
  routerView,
  type SessionCausality,
} from '@understudy/core/routing';
import { median } from '../lib/stats.ts';
import { Agenda } from './agenda.ts';
import { type Chosen, type Policy, POLICIES, type PolicyName } from './policies.ts';
import { exponential, seededRandom, zipf } from './random.ts';

export interface FleetPlan {
  readonly seed: number;
  readonly policy: PolicyName;
  readonly replicas: number;
  readonly clients: number;
  readonly reads: number;
  /** Share of what all replicas together could bear. */
  readonly load: number;
  /** Statements that a replica works on at a time; more wait in its queue. */
  readonly slots: number;
  /** Mean of a read's work, and how many times slower a slow replica is. */
  readonly serviceMs: number;
  readonly slowShare: number;
  readonly slowFactor: number;
  /** One write for so many reads. */
  readonly readsPerWrite: number;
  /** A replica is so far behind, and at times a tenth of them stop replaying for a while. */
  readonly lagMs: number;
  readonly burstEveryMs: number;
  readonly burstMs: number;
}

export const DEFAULT_PLAN: FleetPlan = {
  seed: 1,
  policy: 'understudy',
  replicas: 1000,
  clients: 100_000,
  reads: 400_000,
  load: 0.7,
  slots: 4,
  serviceMs: 2,
  slowShare: 0.05,
  slowFactor: 4,
  readsPerWrite: 100,
  lagMs: 2,
  burstEveryMs: 50,
  burstMs: 50,
};

export interface FleetOutcome {
  /** From arrival to the answer. */
  readonly latenciesMs: Float64Array;
  /** Reads that saw less than their session had written or read before. Must be none. */
  readonly stale: number;
  readonly onPrimary: number;
  /** Reads by replica, and which of them are slow. */
  readonly served: Uint32Array;
  readonly slow: readonly boolean[];
  readonly decisions: number;
  /** Median of the time that one took. */
  readonly decisionNs: number;
}

interface Server {
  readonly index: number;
  readonly state: ReplicaState;
  readonly meanMs: number;
  busy: number;
  readonly queue: Read[];
  /** What it has replayed, in truth. */
  replayed: bigint;
  stoppedUntilMs: number;
}

interface Read {
  readonly client: number;
  readonly session: Session;
  readonly arrivedMs: number;
  sentMs: number;
  /** What its server had replayed when the read took its snapshot. */
  sees: bigint;
}

/** A connection of a client; it does one thing at a time. */
interface Session {
  readonly causality: SessionCausality;
  /** The newest position that it has written or seen: what no later read of its may be older than. */
  seen: bigint;
}

type Happening =
  | { readonly kind: 'read'; readonly read: Read }
  | { readonly kind: 'done'; readonly server: Server; readonly read: Read }
  | { readonly kind: 'probe-answer'; readonly number: number; readonly lsn: bigint }
  | { readonly kind: 'poll' }
  | { readonly kind: 'burst' };

/** A way to the primary and back. */
const ROUND_TRIP_MS = 0.5;
/** Replicas are asked where they are this often, and one that was waited for as often. */
const POLL_MS = 2;
/** A read that waits for freshness asks again after this. */
const AGAIN_MS = 0.5;
/** Every so many decisions one is timed: reading the clock costs as much as a decision. */
const TIMED = 16;

/** A fleet, its clients and one router, run to the end of all reads. Only the seed decides what happens. */
export class Fleet {
  readonly #plan: FleetPlan;
  readonly #random: () => number;
  readonly #policy: Policy;
  readonly #servers: Server[];
  readonly #byState = new Map<ReplicaState, Server>();
  /** Connections of each client that have nothing to do. */
  readonly #idle = new Map<number, Session[]>();
  readonly #view: RouterView;
  readonly #agenda = new Agenda<Happening>();
  /** The primary's position, and where it was at past moments: what a replica replays. */
  #lsn = 1n;
  readonly #written: { readonly atMs: number; readonly lsn: bigint }[] = [];
  #nowMs = 0;
  #probing = false;
  readonly #latencies: Float64Array;
  #answered = 0;
  #stale = 0;
  #onPrimary = 0;
  readonly #served: Uint32Array;
  #decisions = 0;
  readonly #timesNs: number[] = [];

  constructor(plan: FleetPlan) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    const servers = Array.from({ length: plan.replicas }, (_, i) => routable(i + 2));
    const topology = { term: 1, primary: { kind: 'open', server: routable(1) }, replicas: servers, history: [] } as const;
    const states = servers.map(server => newReplica(server, 0, 'warm'));
    const causality = newRouterCausality();
    this.#view = routerView({ topology, replicas: states, primary: null, causality, policy: DEFAULT_READ_POLICY });
    this.#servers = states.map((state, i) => ({
      index: i,
      state,
      meanMs: plan.serviceMs * (i < plan.replicas * plan.slowShare ? plan.slowFactor : 1),
      busy: 0,
      queue: [],
      replayed: this.#lsn,
      stoppedUntilMs: 0,
    }));
    for (const server of this.#servers) this.#byState.set(server.state, server);
    noteFloor(causality, probeSent(causality.probes), { timeline: 1, lsn: this.#lsn }, topology);
    this.#policy = POLICIES[plan.policy](this.#view, this.#random);
    this.#latencies = new Float64Array(plan.reads);
    this.#served = new Uint32Array(plan.replicas);
  }

  run(): FleetOutcome {
    const { reads, clients, readsPerWrite } = this.#plan;
    const drawClient = zipf(clients, 1);
    const betweenMs = this.#betweenArrivalsMs();
    let arrivalMs = 0;
    let arrived = 0;
    this.#poll();
    this.#agenda.add(this.#plan.burstEveryMs, { kind: 'burst' });
    while (this.#answered < reads) {
      if (arrived < reads && arrivalMs <= this.#agenda.nextMs) {
        this.#nowMs = arrivalMs;
        const client = drawClient(this.#random);
        const session = this.#session(client);
        if (this.#random() * readsPerWrite < 1) this.#write(session);
        this.#choose({ client, session, arrivedMs: arrivalMs, sentMs: 0, sees: 0n });
        arrived += 1;
        arrivalMs += exponential(betweenMs, this.#random);
        continue;
      }
      this.#nowMs = this.#agenda.nextMs;
      this.#happen(this.#agenda.take() as Happening);
    }
    return {
      latenciesMs: this.#latencies.sort(),
      stale: this.#stale,
      onPrimary: this.#onPrimary,
      served: this.#served,
      slow: this.#servers.map(server => server.meanMs > this.#plan.serviceMs),
      decisions: this.#decisions,
      decisionNs: median(this.#timesNs),
    };
  }

  #betweenArrivalsMs(): number {
    const { load, slots } = this.#plan;
    const perMs = this.#servers.reduce((sum, server) => sum + slots / server.meanMs, 0);
    return 1 / (perMs * load);
  }

  #session(client: number): Session {
    return this.#idle.get(client)?.pop() ?? { causality: newSessionCausality(), seen: 0n };
  }

  #release({ client, session }: Read): void {
    const idle = this.#idle.get(client);
    if (idle === undefined) this.#idle.set(client, [session]);
    else idle.push(session);
  }

  #happen(happening: Happening): void {
    switch (happening.kind) {
      case 'read':
        return this.#choose(happening.read);
      case 'done':
        return this.#done(happening.server, happening.read);
      case 'probe-answer':
        this.#probing = false;
        return noteFloor(this.#view.causality, happening.number, { timeline: 1, lsn: happening.lsn }, this.#view.topology);
      case 'poll':
        return this.#poll();
      case 'burst':
        return this.#burst();
      default:
        return happening satisfies never;
    }
  }

  #write(session: Session): void {
    this.#lsn += 100n;
    this.#written.push({ atMs: this.#nowMs, lsn: this.#lsn });
    noteCommit(this.#view.causality, session.causality);
    session.seen = this.#lsn;
  }

  #choose(read: Read): void {
    const { causality, seen } = read.session;
    const waitedMs = this.#nowMs - read.arrivedMs;
    const timed = this.#decisions % TIMED === 0;
    const before = timed ? process.hrtime.bigint() : 0n;
    const chosen = this.#policy.choose(causality, seen, waitedMs, this.#nowMs);
    if (timed) this.#timesNs.push(Number(process.hrtime.bigint() - before));
    this.#decisions += 1;
    this.#follow(chosen, read);
  }

  #follow(chosen: Chosen, read: Read): void {
    switch (chosen.kind) {
      case 'replica':
        return this.#send(this.#byState.get(chosen.replica) as Server, read);
      case 'primary':
        this.#onPrimary += 1;
        this.#release(read);
        return this.#record(this.#nowMs - read.arrivedMs + this.#plan.serviceMs);
      case 'wait':
        if (chosen.for === 'probe') this.#probe();
        return this.#agenda.add(this.#nowMs + AGAIN_MS, { kind: 'read', read });
      default:
        return chosen satisfies never;
    }
  }

  #probe(): void {
    if (this.#probing) return;
    this.#probing = true;
    const number = probeSent(this.#view.causality.probes);
    this.#agenda.add(this.#nowMs + ROUND_TRIP_MS, { kind: 'probe-answer', number, lsn: this.#lsn });
  }

  #send(server: Server, read: Read): void {
    recordStart(server.state);
    read.sentMs = this.#nowMs;
    this.#served[server.index] = (this.#served[server.index] as number) + 1;
    if (server.busy < this.#plan.slots) this.#work(server, read);
    else server.queue.push(read);
  }

  #work(server: Server, read: Read): void {
    server.busy += 1;
    read.sees = server.replayed;
    if (read.sees < read.session.seen) this.#stale += 1;
    this.#agenda.add(this.#nowMs + exponential(server.meanMs, this.#random), { kind: 'done', server, read });
  }

  #done(server: Server, read: Read): void {
    server.busy -= 1;
    const next = server.queue.shift();
    if (next !== undefined) this.#work(server, next);
    recordFinish(server.state, this.#nowMs - read.sentMs, this.#nowMs);
    noteReplicaRead(server.state, read.session.causality);
    if (read.sees > read.session.seen) read.session.seen = read.sees;
    this.#release(read);
    this.#record(this.#nowMs - read.arrivedMs);
  }

  #record(latencyMs: number): void {
    this.#latencies[this.#answered] = latencyMs;
    this.#answered += 1;
  }

  /** Replicas replay what was written before, and tell where they are. */
  #poll(): void {
    const { lagMs } = this.#plan;
    const replayable = this.#writtenBefore(this.#nowMs - lagMs);
    for (const server of this.#servers) {
      if (server.stoppedUntilMs <= this.#nowMs) server.replayed = replayable;
      const probe = probeSent(server.state.probes);
      const position = { timeline: 1, lsn: server.replayed };
      const seen = { position, primaryLsn: this.#lsn, lagMs, replayPaused: false, probe };
      observeReplay(server.state, seen, this.#nowMs, this.#view.policy.balance);
    }
    this.#agenda.add(this.#nowMs + POLL_MS, { kind: 'poll' });
  }

  #writtenBefore(atMs: number): bigint {
    const written = this.#written;
    let at = written.length - 1;
    while (at >= 0 && (written[at] as { atMs: number }).atMs > atMs) at -= 1;
    const lsn = written[at]?.lsn ?? 1n;
    if (at > 10_000) written.splice(0, at);
    return lsn;
  }

  #burst(): void {
    const from = Math.floor(this.#random() * this.#servers.length);
    const count = Math.ceil(this.#servers.length / 10);
    for (let i = 0; i < count; i++) {
      const server = this.#servers[(from + i) % this.#servers.length] as Server;
      server.stoppedUntilMs = this.#nowMs + this.#plan.burstMs;
    }
    this.#agenda.add(this.#nowMs + this.#plan.burstEveryMs, { kind: 'burst' });
  }
}

function routable(number: number): RoutableServer {
  return { id: `n${number}`, host: '127.0.0.1', port: 5432, timeline: 1, weight: 100, zone: null };
}
