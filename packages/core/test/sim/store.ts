import type { ClusterState, MemberId, MemberReport } from '../../src/cluster/index.ts';
import { STORE } from './network.ts';
import type { World } from './world.ts';

export interface StoredReport {
  readonly report: MemberReport;
  /** Order of arrival at the store. */
  readonly put: number;
}

/** What one answer of the store shows: all of it, as of one moment. */
export interface Snapshot {
  readonly revision: number;
  readonly state: ClusterState;
  readonly reports: readonly StoredReport[];
}

/** A linearizable store at the end of a bad line: requests and answers are lost or late, watches are late, doubled or lost. */
export class SimStore {
  readonly #world: World;
  revision = 1;
  state: ClusterState;
  readonly reports = new Map<MemberId, StoredReport>();
  available = true;
  #puts = 0;

  constructor(world: World, state: ClusterState) {
    this.#world = world;
    this.state = state;
  }

  /** Sends a request; `answered` runs if request and answer both get through. */
  request<T>(from: MemberId, execute: () => T, answered: (result: T) => void): void {
    const { random, network, events } = this.#world;
    if (!network.passes(from, STORE)) return;
    const delay = (): number => (random.chance(0.01) ? random.between(50, 1500) : random.between(0.5, 4)) + network.slowMs;
    events.after(delay(), () => {
      if (!this.available || !network.passes(from, STORE)) return;
      const result = execute();
      if (network.passes(STORE, from)) events.after(delay(), () => answered(result));
    });
  }

  snapshot(): Snapshot {
    return { revision: this.revision, state: this.state, reports: [...this.reports.values()] };
  }

  put(report: MemberReport): Snapshot {
    const stored = { report, put: ++this.#puts };
    this.reports.set(report.id, stored);
    for (const id of this.#world.listeners(report.id)) this.#watch(id, () => this.#world.hearReport(id, stored));
    return this.snapshot();
  }

  compareAndSwap(by: MemberId, expected: number, next: ClusterState): Snapshot & { readonly swapped: boolean } {
    const swapped = expected === this.revision;
    if (swapped) {
      const before = this.state;
      this.state = next;
      this.revision++;
      this.#world.checks.storeChanged(before, next, by);
      this.#announce();
    }
    return { ...this.snapshot(), swapped };
  }

  /** A change by an operator's command. */
  change(f: (state: ClusterState) => ClusterState): void {
    const before = this.state;
    this.state = f(before);
    this.revision++;
    this.#world.checks.storeChanged(before, this.state, 'operator');
    this.#announce();
  }

  #announce(): void {
    const snapshot = { revision: this.revision, state: this.state };
    for (const id of this.#world.listeners(null)) this.#watch(id, () => this.#world.hearState(id, snapshot.revision, snapshot.state));
  }

  #watch(id: MemberId, deliver: () => void): void {
    const { random, network, events } = this.#world;
    if (!network.passes(STORE, id) || !this.available || random.chance(0.02)) return;
    const delayMs = (random.chance(0.03) ? random.between(20, 800) : random.between(0.5, 6)) + network.slowMs;
    events.after(delayMs, () => network.passes(STORE, id) && deliver());
    if (random.chance(0.02)) events.after(delayMs + random.between(1, 500), deliver);
  }
}
