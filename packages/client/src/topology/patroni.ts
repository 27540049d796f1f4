import { type Address, addressName, patroniMembers, type Topology } from '@understudy/core/routing';
import type { AskedTopology } from './asked.ts';
import { getJson } from './http.ts';
import type { TopologySource } from './source.ts';

const POLL_MS = 2_000;
const ANSWER_TIMEOUT_MS = 2_000;

/** The members of a Patroni cluster by its REST API. Who of them is the primary is asked of themselves, which is quicker than Patroni's loop. */
export class PatroniFeed implements TopologySource {
  readonly #apis: readonly Address[];
  readonly #asked: AskedTopology;
  readonly #onAddresses: (addresses: readonly Address[]) => void;
  #known = '';
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(apis: readonly Address[], asked: AskedTopology, onAddresses: (addresses: readonly Address[]) => void) {
    this.#apis = apis;
    this.#asked = asked;
    this.#onAddresses = onAddresses;
  }

  current(): Topology {
    return this.#asked.current();
  }

  subscribe(listener: (topology: Topology) => void): () => void {
    return this.#asked.subscribe(listener);
  }

  suspect(): void {
    this.#asked.suspect();
  }

  async start(): Promise<void> {
    await this.#look();
    await this.#asked.start();
    const again = (): void => {
      if (this.#stopped) return;
      this.#timer = setTimeout(() => void this.#look().finally(again), POLL_MS).unref();
    };
    again();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#asked.stop();
  }

  /** The first API that answers is believed; with none, what is known stays. */
  async #look(): Promise<void> {
    for (const api of this.#apis) {
      try {
        const addresses = patroniMembers(await getJson(api, '/cluster', ANSWER_TIMEOUT_MS, { kind: 'http' }));
        if (addresses.length === 0) continue;
        this.#take(addresses);
        return;
      } catch {
        // The next one may answer.
      }
    }
  }

  #take(addresses: readonly Address[]): void {
    const known = addresses.map(addressName).sort().join();
    if (known === this.#known || this.#stopped) return;
    this.#known = known;
    this.#onAddresses(addresses);
    this.#asked.setAddresses(addresses);
    this.#asked.suspect();
  }
}
