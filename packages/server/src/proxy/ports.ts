import type { RouterTraffic, Topology } from '@understudy/core/routing';

/** Where the proxy learns which server is what. The value changes only as a whole. */
export interface TopologySource {
  current(): Topology;
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: (topology: Topology) => void): () => void;
  /** Of a standby cluster: calls the listener with each position of the source that is heard of, and when it was there (this process's clock). */
  onSourcePosition?(listener: (lsn: bigint, atMs: number) => void): void;
}

/** A topology that a proxy's process keeps up to date by itself. */
export interface WatchedTopology extends TopologySource {
  /** The switchover that is being drained for; null when there is none. */
  readonly drainingFor: string | null;
  /** Resolves when there is something to begin with, or that has taken too long. */
  start(): Promise<void>;
  /** All that there was to hear at that moment (on this process's clock) has been heard. */
  confirm(atMs: number): void;
  stop(): void;
}

/** Things that an operator should know; the caller makes events and log lines of them. */
export type ProxyEvent =
  | { readonly kind: 'switched'; readonly term: number; readonly primary: string }
  | { readonly kind: 'held'; readonly reason: string }
  | { readonly kind: 'released'; readonly heldMs: number }
  | { readonly kind: 'warning'; readonly message: string };

/** Counters since the start, and gauges of this moment. */
export interface ProxyStats extends RouterTraffic {
  readonly clients: number;
  readonly held: number;
  readonly writes: number;
  /** Reads by the member that answered them, the primary's among them. */
  readonly reads: Readonly<Record<string, number>>;
  readonly listening: { readonly host: string; readonly port: number } | null;
}
