import { expect } from 'vitest';
import type { ClusterState, Durability, MemberId } from '../../src/cluster/index.ts';
import type { SimAgent } from './agent.ts';
import { type FaultKind, healAll, strike } from './faults.ts';
import type { SimPostgres } from './postgres.ts';
import { World, type WorldOptions } from './world.ts';

const QUORUM: Durability = { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 1 << 20 };

/** A cluster with a story: what happens to it is told step by step, and each invariant is checked on the way. */
export class Story {
  readonly world: World;

  constructor(options: Partial<WorldOptions> & { readonly durability?: Durability } = {}) {
    this.world = new World({ seed: 7, members: 3, durability: QUORUM, fromScratch: false, ...options });
    if (!options.fromScratch && !options.standby) this.heals(5000);
  }

  get state(): ClusterState {
    return this.world.store.state;
  }

  get primary(): MemberId {
    return this.state.rule!.primary;
  }

  get term(): number {
    return this.state.rule!.term;
  }

  server(id: MemberId): SimPostgres {
    return this.world.servers.get(id)!;
  }

  agent(id: MemberId): SimAgent {
    return this.world.agents.get(id)!;
  }

  get alarms(): readonly string[] {
    return [...this.world.agents.values()].flatMap(agent => (agent.well ? agent.alarms : []));
  }

  /** One fault to one member, mended after `forMs`. */
  befalls(id: MemberId, kind: FaultKind, forMs = 1e9, other: MemberId = id): void {
    const index = (member: MemberId): number => [...this.world.agents.keys()].indexOf(member);
    strike(this.world, { atMs: 0, kind, target: index(id), other: index(other), forMs });
  }

  passes(ms: number): void {
    this.world.run(ms);
  }

  /** Waits until this is so, and returns how long it took. */
  awaits(what: string, condition: () => boolean, withinMs = 10_000): number {
    const fromMs = this.world.now;
    expect(this.world.runUntil(condition, withinMs), `${what} within ${withinMs} ms`).toBe(true);
    return this.world.now - fromMs;
  }

  heals(withinMs = 60_000): void {
    this.awaits('healthy', () => this.world.illness() === null, withinMs);
  }

  mends(): void {
    healAll(this.world);
    this.heals();
  }

  /** Waits for a new primary that is open; returns how long it took. */
  failsOver(withinMs = 10_000): number {
    const { term } = this;
    return this.awaits('a new primary', () => this.term > term && this.isOpen, withinMs);
  }

  get isOpen(): boolean {
    return (
      this.world.leader !== null && this.agent(this.primary).open?.confirmed === true && this.agent(this.primary).open?.term === this.term
    );
  }

  /** Commits one write on this server; the answer comes later, if ever. */
  writes(id: MemberId): { acknowledged: boolean } {
    const write = { acknowledged: false };
    const server = this.server(id);
    const taken = server.commit(() => {
      write.acknowledged = true;
      this.world.checks.acknowledge(record, server, true);
    });
    const record = server.wal.at(-1)!;
    expect(taken, `${id} takes a write`).toBe(true);
    return write;
  }

  orders(kind: 'switchover', to: MemberId | null): void;
  orders(kind: 'failover', to: MemberId | null, acceptDataLoss: boolean): void;
  orders(kind: 'switchover' | 'failover', to: MemberId | null, acceptDataLoss = false): void {
    const base = { id: `${this.world.now}`, to, fromTerm: this.term, atMs: 0 };
    this.world.accepted ||= acceptDataLoss;
    this.world.store.change(state => ({ ...state, intent: kind === 'switchover' ? { ...base, kind } : { ...base, kind, acceptDataLoss } }));
  }

  acknowledges(withinMs = 5000): void {
    const before = this.world.checks.acknowledgements;
    this.awaits('a write is acknowledged', () => this.world.checks.acknowledgements > before, withinMs);
  }

  /** No write is acknowledged for so long. */
  acknowledgesNothing(forMs: number): void {
    const before = this.world.checks.acknowledgements;
    this.world.run(forMs);
    expect(this.world.checks.acknowledgements).toBe(before);
  }
}
