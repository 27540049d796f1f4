import { parseLsn } from '@understudy/core/cluster';
import { type Address, NOTHING_FOUND, type Topology } from '@understudy/core/routing';
import { type ApiTransport, getJson } from './http.ts';
import type { TopologySource } from './source.ts';

/** The API answers at the next change, or after so long. */
const LONG_POLL_MS = 10_000;
const ANSWER_TIMEOUT_MS = 15_000;
const RETRY_MS = 200;
/** How long the beginning waits for a first answer; after that, statements wait for it. */
const FIRST_ANSWER_MS = 2_000;

/** The topology of an Understudy cluster as it tells it itself: GET /topology, which answers when something has changed. */
export class ClusterFeed implements TopologySource {
  readonly #apis: readonly Address[];
  readonly #transport: ApiTransport;
  readonly #listeners: Set<(topology: Topology) => void> = new Set();
  readonly #abort: AbortController = new AbortController();
  #topology: Topology = NOTHING_FOUND;
  #version = '';
  #api = 0;

  constructor(apis: readonly Address[], transport: ApiTransport) {
    this.#apis = apis;
    this.#transport = transport;
  }

  current(): Topology {
    return this.#topology;
  }

  subscribe(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  suspect(): void {
    // A change is told as soon as the cluster knows of it.
  }

  start(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, FIRST_ANSWER_MS);
      void this.#run(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  stop(): void {
    this.#abort.abort();
    this.#listeners.clear();
  }

  async #run(onFirst: () => void): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#ask();
        onFirst();
      } catch {
        this.#api = (this.#api + 1) % this.#apis.length;
        await new Promise(resolve => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  async #ask(): Promise<void> {
    const query = this.#version === '' ? '' : `?after=${encodeURIComponent(this.#version)}&wait=${LONG_POLL_MS}`;
    const api = this.#apis[this.#api] as Address;
    const answer = (await getJson(api, `/topology${query}`, ANSWER_TIMEOUT_MS, this.#transport, this.#abort.signal)) as Answer;
    if (answer.version === this.#version) return;
    this.#version = answer.version;
    this.#topology = readTopology(answer.topology);
    for (const listener of this.#listeners) listener(this.#topology);
  }
}

interface Answer {
  readonly version: string;
  readonly topology: unknown;
}

/** The wire form has positions in PostgreSQL's text form. */
function readTopology(wire: unknown): Topology {
  const topology = wire as Omit<Topology, 'history'> & { readonly history: readonly { timeline: number; endLsn: string }[] };
  return { ...topology, history: topology.history.map(({ timeline, endLsn }) => ({ timeline, endLsn: parseLsn(endLsn) })) };
}
