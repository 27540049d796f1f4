import type { Lsn } from './lsn.ts';
import type { MemberId, MemberSpec } from './member.ts';
import type { Rule } from './rule.ts';
import type { ServerReport } from './server-report.ts';
import type { SourceReport, StandbyOf } from './standby.ts';

/** Why a term was raised. */
export const TRIGGERS = [
  'bootstrap',
  'primary-exited',
  'primary-unresponsive',
  'primary-failing',
  'primary-lost',
  'primary-unheard',
  'primary-fenced',
  'switchover',
  'operator',
  'election-stalled',
  // Of a standby cluster: its leader was replaced; it was promoted; it was made of a cluster that took writes.
  'standby-leader-lost',
  'promotion',
  'demotion',
] as const;
export type Trigger = (typeof TRIGGERS)[number];

/** The highest term that anybody has asked for. Above rule.term an election is under way. */
export interface Proposal {
  readonly term: number;
  readonly by: MemberId;
  readonly trigger: Trigger;
  /** For people: wall clock of the coordinator, and for how long it had known of the trouble. */
  readonly atMs: number;
  readonly noticedMs: number;
}

/** A word of the operator that waits to be done; at most one at a time. */
export type Intent =
  | { readonly kind: 'switchover'; readonly id: string; readonly to: MemberId | null; readonly fromTerm: number; readonly atMs: number }
  | {
      readonly kind: 'failover';
      readonly id: string;
      readonly to: MemberId | null;
      readonly acceptDataLoss: boolean;
      readonly fromTerm: number;
      readonly atMs: number;
    }
  /** Replaces the postmaster that began at that moment (pg_postmaster_start_time); done when another one does its work. */
  | {
      readonly kind: 'restart';
      readonly id: string;
      readonly member: MemberId;
      readonly startedAtMs: number;
      readonly fromTerm: number;
      readonly atMs: number;
    };

/** One line of the cluster's history: how a term came to be. Times are wall clock, for people only. */
export interface TermRecord {
  readonly term: number;
  readonly primary: MemberId;
  readonly timeline: number;
  readonly trigger: Trigger;
  readonly reason: string;
  /** Milliseconds of each phase; null until it has happened. */
  readonly detectMs: number | null;
  readonly raisedAtMs: number;
  readonly electedAtMs: number;
  readonly promotedAtMs: number | null;
  readonly establishedAtMs: number | null;
  /** In async durability: bytes of WAL known to exist on the old primary that the new one lacks; 0 in quorum. */
  readonly lostBytes: number;
}

/** The most term records that are kept. */
export const HISTORY_LIMIT = 100;

/** All that the store holds under compare-and-swap: one document, one revision. */
export interface ClusterState {
  readonly schema: 1;
  readonly name: string;
  /** PostgreSQL's system identifier in decimal; null until the first member was made. */
  readonly systemId: string | null;
  readonly proposal: Proposal | null;
  /** Of a standby cluster: the source. Its rule names the standby leader as the primary, and nobody takes writes. Not there, or null: an ordinary cluster. */
  readonly standby?: StandbyOf | null | undefined;
  readonly rule: Rule | null;
  readonly members: Readonly<Record<MemberId, MemberSpec>>;
  readonly intent: Intent | null;
  /** A restart of all that has been begun: when each postmaster that it replaces began. Not there: none has. */
  readonly restarting?: Readonly<Record<MemberId, number>> | undefined;
  readonly paused: { readonly atMs: number } | null;
  /** The cluster is to go on without Understudy, and who does so already. Not there: it is not. */
  readonly released?: Release | undefined;
  readonly durability: Durability;
  readonly history: readonly TermRecord[];
}

/** The end of a cluster's time with Understudy: each member makes its server a plain one and is done. */
export interface Release {
  readonly atMs: number;
  readonly done: readonly MemberId[];
}

export interface Durability {
  readonly mode: 'quorum' | 'async';
  /** How many replicas must hold a commit before it is acknowledged, in quorum. */
  readonly acks: number;
  /** With no replica left in quorum: go on without protection, or stop taking writes. */
  readonly whenAlone: 'continue' | 'block';
  /** Whose acknowledgements count: any replica's, or only those in another zone than the primary's while there are some. */
  readonly acksFrom: 'any-zone' | 'other-zones';
  /** In async: a replica further behind than this is not promoted by itself. */
  readonly maxLossBytes: number;
}

/** What a member says of itself, renewed every heartbeat. Not under compare-and-swap; it ages by the hearer's clock. */
export interface MemberReport {
  readonly id: MemberId;
  /** Grows with each report of one agent's life. */
  readonly sequence: number;
  /** The durable promise: it takes no WAL from a primary of a term below this. */
  readonly promisedTerm: number;
  /** System identifier of its data directory, in decimal. */
  readonly systemId: string | null;
  readonly server: ServerReport;
  readonly operation: Operation | null;
  readonly postmasterPid: number | null;
  readonly serverVersion: number | null;
  /** When this life of its postmaster began, by the server's wall clock: tells one from the next. This and the following are absent where the agent is of an earlier release. */
  readonly startedAtMs?: number | null;
  /** server_version_num of the programs that the next start takes. */
  readonly installedVersion?: number | null;
  /** Settings whose new values wait for a restart. */
  readonly pendingRestart?: readonly string[];
  readonly limits?: StandbyLimits | null;
  /** Of a primary that is open: a position after the notes that it made when it started. */
  readonly openLsn?: Lsn | null;
  /** The primary of this postmaster's life has seen `acks` of its cohort flush all that was there when it opened: its old commits cannot be lost any more. */
  readonly openTerm: number | null;
  /** Of a member of a standby cluster. */
  readonly source?: SourceReport | null;
  /** Human decisions that this member waits for. */
  readonly alarms: readonly string[];
  /** What a replica sees of the others while it, or another one, does not hear the primary; null or absent: it need not look. */
  readonly sight?: Sight | null;
  /** For how long the store had answered this member nothing when this was sent. */
  readonly unansweredMs?: number;
}

/** Found by attempts to connect to the others' servers. A member that is in neither list answered once and not another time, or refused. */
export interface Sight {
  /** For how long no message of this term's primary has come, by the monotonic clock. */
  readonly silentMs: number;
  /** Their servers took a connection. */
  readonly reached: readonly MemberId[];
  /** Nothing came back from their machines, several times in a row. */
  readonly lost: readonly MemberId[];
}

/** The settings of which a replica must not have less than its primary (HOT_STANDBY_SETTINGS), by name. */
export interface StandbyLimits {
  readonly running: Readonly<Record<string, number>>;
  /** As the files say it: what the next start takes. */
  readonly configured: Readonly<Record<string, number>>;
}

/** A slow thing that a member's agent is doing; while it runs, decide asks for nothing but a fence. */
export type Operation =
  | { readonly kind: 'initdb' | 'starting' | 'promoting' | 'rewinding' | 'stopping' | 'reconfiguring' }
  | { readonly kind: 'cloning'; readonly bytesDone: number; readonly bytesTotal: number | null };

/** A position in words for a log line. */
export interface NamedLsn {
  readonly member: MemberId;
  readonly lsn: Lsn;
}
