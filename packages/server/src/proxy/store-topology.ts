import type { FailoverConfig, MemberId, MemberReport, Store, VersionedState } from '@understudy/core/cluster';
import { type DrainClock, type Topology, topologyOf } from '@understudy/core/routing';
import type { TopologySource } from './ports.ts';

const NOTHING_HEARD: Topology = {
  term: 0,
  primary: { kind: 'absent', reason: 'nothing has been heard from the store yet' },
  replicas: [],
  history: [],
};

/** The cluster as the store tells it, on this process's own clock. */
export class StoreTopology implements TopologySource {
  readonly #config: FailoverConfig;
  readonly #now: () => number;
  readonly #listeners = new Set<(topology: Topology) => void>();
  readonly #reports = new Map<MemberId, MemberReport>();
  readonly #unwatch: () => void;
  #versioned: VersionedState | null = null;
  #drain: DrainClock | null = null;
  #topology: Topology = NOTHING_HEARD;
  #signature = '';

  constructor(store: Store, config: FailoverConfig, now: () => number) {
    this.#config = config;
    this.#now = now;
    this.#unwatch = store.watch({
      state: versioned => {
        this.#versioned = versioned;
        this.#noteIntent();
        this.#update();
      },
      report: report => {
        this.#reports.set(report.id, report);
        this.#update();
      },
    });
  }

  current(): Topology {
    return this.#topology;
  }

  /** The switchover that is being drained for; null when there is none. */
  get drainingFor(): string | null {
    return this.#topology.primary.kind === 'draining' ? (this.#drain?.intentId ?? null) : null;
  }

  subscribe(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#unwatch();
  }

  #noteIntent(): void {
    const intent = this.#versioned?.state.intent;
    if (intent?.kind !== 'switchover') this.#drain = null;
    else if (this.#drain?.intentId !== intent.id) this.#drain = { intentId: intent.id, untilMs: this.#now() + this.#config.drainTimeoutMs };
  }

  /** Heartbeats change positions, not the topology: listeners hear of real changes only. */
  #update(): void {
    if (!this.#versioned) return;
    const topology = topologyOf(this.#versioned.state, this.#reports, this.#drain);
    const signature = signatureOf(topology);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#topology = topology;
    for (const listener of this.#listeners) listener(topology);
  }
}

function signatureOf(topology: Topology): string {
  return JSON.stringify(topology, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
