import type { ClusterState, MemberReport } from './state.ts';

/** The document with the number that compare-and-swap goes by. */
export interface VersionedState {
  /** Grows with every change; 0 before the first. */
  readonly revision: number;
  readonly state: ClusterState;
}

export type ChangeResult =
  | { readonly kind: 'done'; readonly now: VersionedState }
  | { readonly kind: 'conflict'; readonly now: VersionedState };

/** What a store tells those who watch it. */
export interface StoreListener {
  /** A newer state. Some in between may be left out, none comes out of order. */
  state(now: VersionedState): void;
  /** Somebody's report, the caller's own included. */
  report(report: MemberReport): void;
}

/**
 * Where the rule lives. Two adapters: embedded (one machine, one file) and etcd (many). Every method rejects when the store
 * cannot be reached; then nothing is known of whether a change took effect, and the next state that is heard tells.
 */
export interface Store {
  /** The newest state (linearizable). */
  read(): Promise<VersionedState>;
  /** Replaces the state if it still has this revision. Durable before it answers. */
  change(expectedRevision: number, next: ClusterState): Promise<ChangeResult>;
  /** Publishes a member's report and renews its lease; resolves when the store has it. */
  report(report: MemberReport): Promise<void>;
  /** Calls the listener with the present state and reports, then with every change; returns how to stop. */
  watch(listener: StoreListener): () => void;
  close(): Promise<void>;
}
