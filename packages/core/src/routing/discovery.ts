import { type Address, addressName } from './address.ts';
import { discoveredTopology, NOTHING_FOUND, type SelfReport } from './discovered.ts';
import type { Topology } from './topology.ts';

/** Servers of a cluster that somebody else runs, and what each has said of itself last. Whoever asks them tells it here. */
export class Discovery {
  readonly #reports: Map<string, SelfReport | null> = new Map();
  #addresses: readonly Address[];
  #topology: Topology = NOTHING_FOUND;

  constructor(addresses: readonly Address[]) {
    this.#addresses = addresses;
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** A server said what it is; null: it cannot be reached. True when the topology is another one now. */
  report(id: string, report: SelfReport | null): boolean {
    this.#reports.set(id, report);
    return this.#update();
  }

  /** Other servers than before. True when the topology is another one now. */
  setAddresses(addresses: readonly Address[]): boolean {
    this.#addresses = addresses;
    const ids = new Set(addresses.map(addressName));
    for (const id of this.#reports.keys()) if (!ids.has(id)) this.#reports.delete(id);
    return this.#update();
  }

  #update(): boolean {
    const found = this.#addresses.map(address => {
      const id = addressName(address);
      return { id, ...address, report: this.#reports.get(id) ?? null };
    });
    const topology = discoveredTopology(found, this.#topology);
    if (topologySignature(topology) === topologySignature(this.#topology)) return false;
    this.#topology = topology;
    return true;
  }
}

/** Equal for topologies that mean the same to a router. */
export function topologySignature(topology: Topology): string {
  return JSON.stringify(topology, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
