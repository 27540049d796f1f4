import { type Address, addressName, Discovery, type SelfReport, type Topology } from '@understudy/core/routing';
import type { ServerSource } from './messages.ts';
import type { ProxyOptions } from './options.ts';
import { PatroniWatch } from './patroni-watch.ts';
import type { WatchedTopology } from './ports.ts';
import { ServerWatch, type WatchHost } from './server-watch.ts';

/** The start does not wait longer than this for servers that do not answer. */
const FIRST_ANSWERS_MS = 2_000;

/** A cluster that somebody else runs: which of the servers is what, they are asked themselves. */
export function askedTopology(options: ProxyOptions, source: ServerSource): AskedTopology {
  switch (source.kind) {
    case 'addresses':
      return new AskedTopology(options, source.addresses, null);
    case 'patroni':
      return new AskedTopology(options, [], new PatroniWatch(source.apis));
    default:
      return source satisfies never;
  }
}

export class AskedTopology implements WatchedTopology, WatchHost {
  /** Nobody tells of a switchover before it is done. */
  readonly drainingFor: null = null;
  readonly #options: ProxyOptions;
  readonly #patroni: PatroniWatch | null;
  readonly #discovery: Discovery = new Discovery([]);
  readonly #watches = new Map<string, ServerWatch>();
  readonly #listeners = new Set<(topology: Topology) => void>();
  readonly #addresses: readonly Address[];
  /** The first questions, for whose answers the start waits. */
  #first: Promise<void>[] | null = [];

  /** `patroni` names the servers where they are not known by their addresses. */
  constructor(options: ProxyOptions, addresses: readonly Address[], patroni: PatroniWatch | null) {
    this.#options = options;
    this.#patroni = patroni;
    this.#addresses = addresses;
  }

  current(): Topology {
    return this.#discovery.topology;
  }

  subscribe(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    const impatient = new Promise<void>(resolve => setTimeout(resolve, FIRST_ANSWERS_MS).unref());
    await Promise.race([this.#begin(), impatient]);
  }

  async #begin(): Promise<void> {
    if (this.#patroni === null) this.#watch(this.#addresses);
    else await this.#patroni.start(addresses => this.#watch(addresses));
    const first = this.#first ?? [];
    this.#first = null;
    await Promise.all(first);
  }

  /** The servers confirm what they are by themselves. */
  confirm(): void {}

  stop(): void {
    this.#patroni?.stop();
    for (const watch of this.#watches.values()) watch.end();
    this.#listeners.clear();
  }

  // ---- what the servers tell

  get searching(): boolean {
    return this.current().primary.kind === 'absent';
  }

  onReport(id: string, report: SelfReport | null): void {
    if (this.#discovery.report(id, report)) this.#tell();
  }

  #watch(addresses: readonly Address[]): void {
    const wanted = new Map(addresses.map(address => [addressName(address), address]));
    for (const [id, watch] of this.#watches) {
      if (wanted.has(id)) continue;
      watch.end();
      this.#watches.delete(id);
    }
    const changed = this.#discovery.setAddresses(addresses);
    for (const [id, address] of wanted) {
      if (this.#watches.has(id)) continue;
      const watch = new ServerWatch(address, this.#options, this);
      this.#watches.set(id, watch);
      const looking = watch.look();
      this.#first?.push(looking);
    }
    if (changed) this.#tell();
  }

  #tell(): void {
    const topology = this.current();
    for (const listener of this.#listeners) listener(topology);
  }
}
