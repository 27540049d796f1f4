import type { ClusterState, Durability, FailoverConfig, MemberId, MemberSpec, Rule } from '../../src/cluster/index.ts';
import { DEFAULT_FAILOVER, isSynchronous } from '../../src/cluster/index.ts';
import { countedByZone, decide, promotedState, synchronousNames, upstreamOf } from '../../src/failover/index.ts';
import { SimAgent } from './agent.ts';
import { Checks } from './checks.ts';
import { EventQueue } from './events.ts';
import { type Mutation, NO_MUTATION } from './mutations.ts';
import type { Occasion } from './faults.ts';
import { Network, STORE } from './network.ts';
import { SimPostgres } from './postgres.ts';
import { Random } from './random.ts';
import { SimStore, type StoredReport } from './store.ts';
import { keepConnecting } from './streaming.ts';
import { append, type WalRecord } from './wal.ts';
import { SimWriters } from './writers.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly members: number;
  readonly durability: Durability;
  readonly fromScratch: boolean;
  readonly config?: Partial<FailoverConfig>;
  readonly specs?: Readonly<Record<MemberId, Partial<MemberSpec>>>;
  readonly mutation?: Mutation;
  readonly trace?: boolean;
  readonly registered?: number;
  /** It begins as a standby cluster whose leader has received more than the others; what that holds was acknowledged by the source. */
  readonly standby?: true;
}

/** A whole cluster in virtual time. */
export class World {
  readonly events = new EventQueue();
  readonly network = new Network(() => this.events.nowMs);
  readonly random: Random;
  readonly mutation: Mutation;
  readonly config: FailoverConfig;
  readonly store: SimStore;
  readonly servers = new Map<MemberId, SimPostgres>();
  readonly agents = new Map<MemberId, SimAgent>();
  readonly checks: Checks;
  readonly writers: SimWriters;
  readonly decide = decide;
  readonly lines: string[] = [];
  readonly #trace: boolean;
  routersDrained = false;
  /** How often a rewind finds that the WAL it needs is gone. */
  rewindFailure = 0.2;
  /** When something was last broken or mended about a node. */
  readonly #disturbedMs = new Map<string, number>();
  /** Faults that wait for their occasion. */
  armed: { readonly on: Occasion; readonly strike: () => void }[] = [];
  /** The time of faults is over. */
  healed = false;
  /** An operator accepted the loss of data at some time in this run. */
  accepted = false;

  constructor(options: WorldOptions) {
    this.random = new Random(options.seed, 1);
    this.mutation = options.mutation ?? NO_MUTATION;
    this.#trace = options.trace ?? false;
    this.config = { ...DEFAULT_FAILOVER, replicaTimeoutMs: 2500, drainTimeoutMs: 600, ...options.config };
    this.checks = new Checks(this);
    const ids = Array.from({ length: options.members }, (_, i) => `n${i + 1}`);
    this.store = new SimStore(this, emptyState(ids, options));
    for (const id of ids) {
      const server = new SimPostgres(this, id);
      this.servers.set(id, server);
      this.agents.set(id, new SimAgent(this, server));
      keepConnecting(this, server);
    }
    if (options.standby) this.#readyAsStandby(ids);
    else if (!options.fromScratch) this.#ready(ids, options.durability);
    for (const agent of this.agents.values()) agent.start();
    this.writers = new SimWriters(this);
  }

  get now(): number {
    return this.events.nowMs;
  }

  /** A cluster that has been running: as bootstrap and the first cohort changes leave it. */
  #ready(ids: readonly MemberId[], durability: Durability): void {
    const [primary, ...others] = ids as [MemberId, ...MemberId[]];
    const first = this.servers.get(primary)!;
    first.initialise('sys');
    for (let i = 0; i < 5; i++) append(first.wal, 1, 'write');
    first.flushed = first.wal.length;
    for (const id of others) {
      const server = this.servers.get(id)!;
      server.data = 'whole';
      server.systemId = 'sys';
      server.wal = [...first.wal];
      server.flushed = server.wal.length;
    }
    const cohort = durability.mode === 'async' ? [] : others.filter(id => isSynchronous(this.store.state.members[id]!));
    const rule: Rule = {
      term: 1,
      primary,
      cohort,
      acks: Math.min(durability.acks, cohort.length),
      timeline: 1,
      established: true,
      before: [],
    };
    for (const agent of this.agents.values()) agent.durablePromise = 1;
    first.namesText = synchronousNames(rule, 1);
    const proposal = { term: 1, by: primary, trigger: 'bootstrap', atMs: 0, noticedMs: 0 } as const;
    this.store.state = { ...this.store.state, systemId: 'sys', rule, proposal };
  }

  /** n1 leads, and has received what nobody else has yet. */
  #readyAsStandby(ids: readonly MemberId[]): void {
    const [leader] = ids as [MemberId, ...MemberId[]];
    const wal: WalRecord[] = [];
    for (let i = 0; i < 8; i++) append(wal, 1, 'write');
    ids.forEach((id, i) => {
      const server = this.servers.get(id)!;
      server.initialise('sys');
      server.wal = wal.slice(0, Math.max(1, wal.length - 2 * i));
      server.flushed = server.wal.length;
      server.cleanShutdown = false;
      this.agents.get(id)!.durablePromise = 1;
    });
    this.checks.acknowledged = [...wal];
    const rule: Rule = { term: 1, primary: leader, cohort: [], acks: 0, timeline: 1, established: true, before: [] };
    const proposal = { term: 1, by: leader, trigger: 'bootstrap', atMs: 0, noticedMs: 0 } as const;
    const source = { hosts: [{ host: 'elsewhere', port: 5432 }], user: null, tls: null };
    this.store.state = { ...this.store.state, systemId: 'sys', rule, proposal, standby: { source, sinceMs: 0 } };
  }

  /** An operator promotes the standby cluster. */
  promote(): void {
    this.store.change(state => this.mutation.promotion(promotedState(state, new Map(), 0)));
  }

  trace(who: string, what: string): void {
    if (this.#trace) this.lines.push(`${this.now.toFixed(0).padStart(7)} ms  ${who.padEnd(5)} ${what}`);
  }

  poke(id: MemberId): void {
    this.agents.get(id)?.poke();
  }

  listeners(except: MemberId | null): readonly MemberId[] {
    return [...[...this.agents.keys()].filter(id => id !== except), 'router'];
  }

  hearState(id: MemberId, revision: number, state: ClusterState): void {
    if (id === 'router') this.writers.hearState(revision, state);
    else this.agents.get(id)!.hearState(revision, state);
  }

  hearReport(id: MemberId, stored: StoredReport): void {
    if (id === 'router') this.writers.hearReport(stored);
    else this.agents.get(id)!.hearReport(stored);
  }

  disturb(nodes: readonly string[]): void {
    for (const node of nodes) this.#disturbedMs.set(node, this.now);
  }

  /** The store changed in this way: what was armed for it strikes. */
  occasion(on: Occasion): void {
    const due = this.armed.filter(fault => fault.on === on);
    if (due.length === 0) return;
    this.armed = this.armed.filter(fault => fault.on !== on);
    for (const fault of due) fault.strike();
  }

  /** Nothing hampers this node on its way to the store, and none of its parts is broken. */
  calmFor(id: string): boolean {
    const agent = this.agents.get(id);
    const disturbedMs = Math.max(this.#disturbedMs.get(id) ?? 0, this.#disturbedMs.get(STORE) ?? 0);
    return this.now - disturbedMs > 3000 && this.network.bothWays(id, STORE) && (agent === undefined || agent.well);
  }

  run(forMs: number): void {
    const untilMs = this.now + forMs;
    while (this.events.step(untilMs));
  }

  /** Runs until the condition holds; false when it does not within the time. */
  runUntil(condition: () => boolean, withinMs: number): boolean {
    const untilMs = this.now + withinMs;
    while (this.now < untilMs) {
      if (condition()) return true;
      this.run(50);
    }
    return condition();
  }

  get leader(): SimPostgres | null {
    const { rule } = this.store.state;
    const server = rule && this.servers.get(rule.primary);
    return server?.leads && server.timeline === rule?.timeline ? server : null;
  }

  #asksForPerson(alarm: string): boolean {
    return [...this.agents.values()].some(agent => agent.alarms.includes(alarm));
  }

  /** Why the cluster is not healthy; null when it is. */
  illness(): string | null {
    const { rule, members, durability, proposal } = this.store.state;
    if (rule === null) return this.#asksForPerson('several-data-directories') ? null : 'no rule';
    if (proposal !== null && proposal.term > rule.term) return 'an election is under way';
    if (!rule.established) return 'the term is not established';
    const { leader } = this;
    if (leader === null || leader.frozen) return 'no primary';
    const open = this.agents.get(leader.id)!.open;
    if (!open?.confirmed || open.term !== rule.term) return 'the primary is not open';
    const able = Object.values(members).flatMap(spec => (isSynchronous(spec) && spec.id !== leader.id ? [spec.id] : []));
    const counted = countedByZone(this.store.state, leader.id, able);
    for (const { id, lifecycle } of Object.values(members)) {
      if (id === leader.id || this.agents.get(id)!.alarms.includes('foreign-data')) continue;
      if (lifecycle === 'leaving') return `${id} has not left`;
      const from = this.servers.get(upstreamOf(this.store.state, rule, id) ?? leader.id)!;
      if (from.connections.get(id) === undefined) return `${id} does not stream from ${from.id}`;
      if (durability.mode === 'quorum' && counted.includes(id) && !rule.cohort.includes(id)) return `${id} is not in the cohort`;
    }
    const acks = durability.mode === 'async' ? 0 : Math.min(durability.acks, rule.cohort.length);
    return rule.acks === acks && leader.namesInForce() ? null : 'the cohort is being changed';
  }
}

function emptyState(ids: readonly MemberId[], options: WorldOptions): ClusterState {
  const members = Object.fromEntries(
    ids.map((id, i): [MemberId, MemberSpec] => [
      id,
      {
        id,
        host: id,
        port: 5432 + i,
        priority: 100,
        nofailover: false,
        nosync: false,
        zone: null,
        applyDelayMs: 0,
        follows: null,
        readWeight: 100,
        lifecycle: 'member',
        ...options.specs?.[id],
      },
    ]),
  );
  return {
    schema: 1,
    name: 'sim',
    systemId: null,
    proposal: null,
    rule: null,
    members,
    intent: null,
    paused: null,
    durability: options.durability,
    history: [],
  };
}
