/** One statement that was routed, without its literals. */
export interface RoutedStatement {
  readonly text: string;
  readonly kind: 'read' | 'write' | 'other';
  readonly member: string;
  /** Why there. */
  readonly reason: string;
  /** Milliseconds until it was sent to a server: for freshness, for a primary, for a connection. */
  readonly waitMs: number;
  /** Milliseconds until it was answered whole. */
  readonly runMs: number;
  /** When that was; wall clock. */
  readonly endedAtMs: number;
}

/** What was routed since the last sample. */
export interface StatementSample {
  /** Wall clock, for people. */
  readonly atMs: number;
  readonly statements: readonly RoutedStatement[];
  /** How many there were; more than `statements` has when that is a sample. */
  readonly seen: number;
}
