import { discoveredTopology, type FoundServer, NOTHING_FOUND, type SelfReport, type Topology } from '@understudy/core/routing';
import { type Address, addressName } from '../addresses.ts';
import type { TopologySource } from './source.ts';

/** The topology of servers that are asked who they are. The answers come from the router's monitors, which ask them for positions anyway. */
export class AskedTopology implements TopologySource {
  readonly #listeners: Set<(topology: Topology) => void> = new Set();
  readonly #askAll: () => Promise<void>;
  readonly #reports: Map<string, SelfReport | null> = new Map();
  #addresses: readonly Address[];
  #topology: Topology = NOTHING_FOUND;

  constructor(addresses: readonly Address[], askAll: () => Promise<void>) {
    this.#addresses = addresses;
    this.#askAll = askAll;
  }

  current(): Topology {
    return this.#topology;
  }

  subscribe(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  suspect(): void {
    void this.#askAll();
  }

  start(): Promise<void> {
    return this.#askAll();
  }

  stop(): void {
    this.#listeners.clear();
  }

  /** A server said what it is; null: it cannot be reached. */
  report(id: string, report: SelfReport | null): void {
    this.#reports.set(id, report);
    this.#update();
  }

  /** Other servers than before. */
  setAddresses(addresses: readonly Address[]): void {
    this.#addresses = addresses;
    this.#update();
  }

  #update(): void {
    const found: FoundServer[] = this.#addresses.map(address => {
      const id = addressName(address);
      return { id, ...address, report: this.#reports.get(id) ?? null };
    });
    const topology = discoveredTopology(found, this.#topology);
    if (signatureOf(topology) === signatureOf(this.#topology)) return;
    this.#topology = topology;
    for (const listener of this.#listeners) listener(topology);
  }
}

function signatureOf(topology: Topology): string {
  return JSON.stringify(topology, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
