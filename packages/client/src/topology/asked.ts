import { type Address, Discovery, type SelfReport, type Topology } from '@understudy/core/routing';
import type { TopologySource } from './source.ts';

/** The topology of servers that are asked who they are. The answers come from the router's monitors, which ask them for positions anyway. */
export class AskedTopology implements TopologySource {
  readonly #listeners: Set<(topology: Topology) => void> = new Set();
  readonly #askAll: () => Promise<void>;
  readonly #discovery: Discovery;

  constructor(addresses: readonly Address[], askAll: () => Promise<void>) {
    this.#discovery = new Discovery(addresses);
    this.#askAll = askAll;
  }

  current(): Topology {
    return this.#discovery.topology;
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
    if (this.#discovery.report(id, report)) this.#tell();
  }

  /** Other servers than before. */
  setAddresses(addresses: readonly Address[]): void {
    if (this.#discovery.setAddresses(addresses)) this.#tell();
  }

  #tell(): void {
    const { topology } = this.#discovery;
    for (const listener of this.#listeners) listener(topology);
  }
}
