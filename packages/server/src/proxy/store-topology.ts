import type { FailoverConfig, MemberId, MemberReport, Store, VersionedState } from '@understudy/core/cluster';
import { type DrainClock, drainingIntent, type RoutableServer, type Topology, topologyOf } from '@understudy/core/routing';
import { withSockets } from './local-sockets.ts';
import type { WatchedTopology } from './ports.ts';

const NOTHING_HEARD: Topology = {
  term: 0,
  primary: { kind: 'absent', reason: 'nothing has been heard from the store yet' },
  replicas: [],
  history: [],
};

/** How a router comes to know that its view of the cluster still holds. */
export interface ViewConfirmation {
  /** A view that nobody has confirmed for this long is stale. */
  readonly ttlMs: number;
  /** Asks the primary to prove that it leads the term; only asked while the store is silent. */
  readonly prove: (server: RoutableServer, term: number, timeoutMs: number) => Promise<boolean>;
}

/** What differs between a router on its members' machine and one elsewhere. */
export interface StoreTopologyOptions {
  /** Where the members of this machine keep their things; null: servers are reached by address alone. */
  readonly membersDirectory: string | null;
  /** Null where the store cannot be lost, since it lives on this machine. */
  readonly confirmation: ViewConfirmation | null;
}

/** Parts of the time to live after which the primary is asked, and how often. */
const PROVE_AFTER = 3;
const LOOKS = 10;

/** The cluster as the store tells it, on this process's own clock. */
export class StoreTopology implements WatchedTopology {
  readonly #config: FailoverConfig;
  readonly #now: () => number;
  readonly #listeners = new Set<(topology: Topology) => void>();
  readonly #reports = new Map<MemberId, MemberReport>();
  readonly #unwatch: () => void;
  readonly #membersDirectory: string | null;
  readonly #confirmation: ViewConfirmation | null;
  readonly #looking: NodeJS.Timeout | null;
  #confirmedAtMs: number;
  #versioned: VersionedState | null = null;
  #drain: DrainClock | null = null;
  #topology: Topology = NOTHING_HEARD;
  #signature = '';
  #onSourcePosition: (lsn: bigint, atMs: number) => void = () => undefined;

  constructor(store: Store, config: FailoverConfig, now: () => number, { membersDirectory, confirmation }: StoreTopologyOptions) {
    this.#config = config;
    this.#now = now;
    this.#membersDirectory = membersDirectory;
    this.#confirmation = confirmation;
    this.#confirmedAtMs = now();
    this.#looking = confirmation ? setInterval(() => this.#lookAtAge(confirmation), confirmation.ttlMs / LOOKS) : null;
    this.#unwatch = store.watch({
      state: versioned => {
        this.#versioned = versioned;
        this.#noteIntent();
        this.#update();
      },
      report: report => {
        this.#reports.set(report.id, report);
        this.#noteSource(report);
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

  onSourcePosition(listener: (lsn: bigint, atMs: number) => void): void {
    this.#onSourcePosition = listener;
  }

  #noteSource({ id, source }: MemberReport): void {
    const state = this.#versioned?.state;
    if (!state?.standby || state.rule?.primary !== id || !source?.newest) return;
    this.#onSourcePosition(source.newest.lsn, this.#now() - source.newest.ageMs);
  }

  /** The store tells what there is as soon as it can. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  /** All that there was to hear at that moment (on this process's clock) has been heard. */
  confirm(atMs: number): void {
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs, atMs);
    if (this.#topology.isStale) this.#update();
  }

  stop(): void {
    if (this.#looking) clearInterval(this.#looking);
    this.#unwatch();
  }

  #noteIntent(): void {
    const intent = this.#versioned ? drainingIntent(this.#versioned.state) : null;
    if (intent === null) this.#drain = null;
    else if (this.#drain?.intentId !== intent.id) this.#drain = { intentId: intent.id, untilMs: this.#now() + this.#config.drainTimeoutMs };
  }

  get #isStale(): boolean {
    return this.#confirmation !== null && this.#now() - this.#confirmedAtMs > this.#confirmation.ttlMs;
  }

  /** While the store is silent the primary itself is asked whether it leads, and in the end the view is stale. */
  #lookAtAge({ ttlMs, prove }: ViewConfirmation): void {
    const askedAtMs = this.#now();
    const rule = this.#versioned?.state.rule;
    const { primary } = this.#topology;
    if (rule && primary.kind !== 'absent' && askedAtMs - this.#confirmedAtMs > ttlMs / PROVE_AFTER) {
      void prove(primary.server, rule.term, ttlMs / 2).then(proved => {
        if (proved && this.#versioned?.state.rule?.term === rule.term) this.confirm(askedAtMs);
      });
    }
    if (this.#isStale && !this.#topology.isStale) this.#update();
  }

  /** Heartbeats change positions, not the topology: listeners hear of real changes only. */
  #update(): void {
    if (!this.#versioned) return;
    const named = topologyOf(this.#versioned.state, this.#reports, this.#drain);
    const heard = this.#membersDirectory === null ? named : withSockets(named, this.#membersDirectory);
    const topology = this.#isStale ? stale(heard) : heard;
    const signature = signatureOf(topology);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#topology = topology;
    for (const listener of this.#listeners) listener(topology);
  }
}

/** New work for the primary is held: it could not be acknowledged anyway, or not by the one that leads. */
function stale(topology: Topology): Topology {
  const { primary } = topology;
  const held = primary.kind === 'absent' ? primary : ({ kind: 'unconfirmed', server: primary.server } as const);
  return { ...topology, primary: held, isStale: true };
}

function signatureOf(topology: Topology): string {
  return JSON.stringify(topology, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
