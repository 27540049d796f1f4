import type { Topology } from '@understudy/core/routing';

/** Where a router learns which server is what. The value changes only as a whole. */
export interface TopologySource {
  current(): Topology;
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: (topology: Topology) => void): () => void;
  /** Something points to a change (a refused write, a lost connection): look again, now. */
  suspect(): void;
  /** Resolves when it has looked once; then it goes on by itself. */
  start(): Promise<void>;
  stop(): void;
}
