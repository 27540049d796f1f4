import type pg from 'pg';

/** What a routed pool or client may be told beyond what pg takes. Times in milliseconds. */
export interface RoutingConfig {
  /**
   * Servers of the cluster besides the one that pg's own options name: `host`, `host:port` or connection strings, of which only host and port are taken.
   * Which of them is the primary is found out by asking them.
   */
  readonly servers?: readonly string[];
  /** How fresh reads are, unless a session or a statement says otherwise. Default `strong`. */
  readonly consistency?: 'strong' | 'session' | 'bounded' | 'eventual';
  /** Bound of `bounded` reads. Default 1000. */
  readonly maxLagMs?: number;
  /** How long a read waits for a replica that is fresh enough before the primary takes it; 0 to wait for nobody. Default 20. */
  readonly freshWaitMs?: number;
  /** When no replica is fresh enough: wait `freshWaitMs` and take the primary, take it at once, or fail. Default `wait`. */
  readonly onStale?: 'wait' | 'primary' | 'error';
  /** Whether the primary serves reads that no replica can. Default `fallback`. */
  readonly readsOnPrimary?: 'never' | 'fallback';
  /** How long a statement waits for a server during a failover before it fails with 57P03. Default 30000. */
  readonly holdTimeoutMs?: number;
  /**
   * Whether quick reads of many callers share a connection to each server, on which many of them are under way at once (at most two a server, besides those of
   * `max`). Default true.
   */
  readonly lanes?: boolean;
  /** Statements that may wait at once. Default 10000. */
  readonly maxHeld?: number;
  /** Functions by `name` or `schema.name`: harmless on a replica though volatile, and always on the primary. */
  readonly functions?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
}

export interface PoolConfig extends pg.PoolConfig, RoutingConfig {}

export interface ClientConfig extends pg.ClientConfig, RoutingConfig {}
