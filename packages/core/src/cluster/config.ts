/** Timings and policies of failover. All in milliseconds on a monotonic clock. */
export interface FailoverConfig {
  /** A member reports itself this often. */
  readonly heartbeatMs: number;
  /** A member that was not heard of for this long may be dead; a replica that still streams from it vetoes. */
  readonly leaseMs: number;
  /** A server that has not answered a fresh connection for this long is taken to hang. */
  readonly hangTimeoutMs: number;
  /** A replica's walreceiver that got a message within this time proves that its primary lives. */
  readonly streamVetoMs: number;
  /** A replica away longer than this leaves the cohort. */
  readonly replicaTimeoutMs: number;
  /** An election that has not ended after this is tried anew under a higher term by whoever notices. */
  readonly electionTimeoutMs: number;
  /** A switchover gives open transactions this long. */
  readonly drainTimeoutMs: number;
  /** After an automatic failover, no other one while the primary still answers. */
  readonly flapBlockMs: number;
  /** Attempts of one repair (rewind, clone) before it becomes an alarm for a person. */
  readonly repairAttempts: number;
}

export const DEFAULT_FAILOVER: FailoverConfig = {
  heartbeatMs: 250,
  leaseMs: 1000,
  hangTimeoutMs: 1500,
  streamVetoMs: 1500,
  replicaTimeoutMs: 5000,
  electionTimeoutMs: 3000,
  drainTimeoutMs: 5000,
  flapBlockMs: 60_000,
  repairAttempts: 5,
};
