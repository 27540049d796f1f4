import type { Lsn } from './lsn.ts';
import type { TimelineHistory, WalPosition } from './timeline.ts';

/** One row of pg_stat_replication on a primary. */
export interface ReplicationSender {
  readonly applicationName: string;
  /** pg_stat_replication.state: startup, catchup, streaming, backup, stopping. */
  readonly state: string;
  readonly sentLsn: Lsn | null;
  readonly writeLsn: Lsn | null;
  readonly flushLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  /** 0 when this walsender, by the configuration that it has read, counts for no synchronous commit. */
  readonly syncPriority: number;
}

/** The walreceiver of a replica (pg_stat_wal_receiver). */
export interface WalReceiver {
  readonly applicationName: string;
  readonly streaming: boolean;
  /** Milliseconds since the last message of the primary arrived, keepalives included. */
  readonly lastMessageAgeMs: number;
}

export interface PrimaryServer {
  readonly kind: 'primary';
  readonly timeline: number;
  readonly history: TimelineHistory;
  readonly insertLsn: Lsn;
  readonly flushLsn: Lsn;
  readonly senders: readonly ReplicationSender[];
  /** synchronous_standby_names in force on a fresh connection, and read by every walsender (sync_priority agrees). */
  readonly synchronousNames: string;
  readonly synchronousNamesInForce: boolean;
  /** Logical slots that are to survive a failover: its replicas keep copies of them (PostgreSQL 17+). Absent where the agent is of an earlier release. */
  readonly failoverSlots?: readonly string[];
}

export interface ReplicaServer {
  readonly kind: 'replica';
  /** Timeline of the last WAL that it holds. */
  readonly timeline: number;
  readonly history: TimelineHistory;
  readonly receiveLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  /**
   * Where its durable WAL ends, once that is certain; null while it still replays WAL of its own after a restart (an
   * understated position would let an election pass over acknowledged commits).
   */
  readonly walEnd: WalPosition | null;
  readonly receiver: WalReceiver | null;
  readonly replayPaused: boolean;
  /** application_name in its primary_conninfo; null when it follows nobody. */
  readonly followsAs: string | null;
  /** Host and port in its primary_conninfo, of a member of a standby cluster; null or absent: nowhere, or not told. */
  readonly followsAt?: { readonly host: string; readonly port: number } | null;
  /** When the last transaction that it has replayed was committed, by the wall clock of the server that wrote it; null: none yet. */
  readonly replayedCommitAtMs?: number | null;
}

/** What is known of one PostgreSQL server from its own machine. */
export type ServerReport =
  /** No data directory, or only the leftovers of an unfinished clone: never electable. */
  | { readonly kind: 'absent' }
  /** A data directory and no postmaster. `cleanShutdown`: pg_control says that it was shut down as a primary; `checkpointLsn` is then the start of the shutdown checkpoint. */
  | {
      readonly kind: 'stopped';
      readonly cleanShutdown: boolean;
      readonly timeline: number;
      readonly checkpointLsn: Lsn;
      readonly crashed: boolean;
    }
  /** The postmaster lives but has not accepted a query since it started. */
  | { readonly kind: 'starting'; readonly sinceMs: number }
  | PrimaryServer
  | ReplicaServer
  /** The postmaster lives, it has answered before, and it has not answered a fresh connection for `forMs`. `was`: its role when it last answered. */
  | { readonly kind: 'unresponsive'; readonly forMs: number; readonly was: 'primary' | 'replica' }
  /** The server answers but its disk is full, or does not take an fsync: it can no longer do its work as a primary. */
  | { readonly kind: 'failing'; readonly forMs: number; readonly was: 'primary' | 'replica'; readonly fault: 'disk-full' | 'fsync' };
