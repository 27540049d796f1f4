import type { SourceFacts } from './standby/source.ts';
import type { ClusterState, FailoverConfig, MemberId, MemberReport } from '../cluster/index.ts';

/** A member as this agent sees it. */
export interface HeardMember {
  readonly report: MemberReport;
  /** This agent's monotonic clock when the newest report arrived; for itself: now. */
  readonly heardAtMs: number;
  /** When the newest report arrived whose sender had answers of the store; absent: `heardAtMs`. */
  readonly takesPartAtMs?: number;
}

/** Why the last attempt failed: by what is around the server (its port is taken, its disk is full), which other data would not help, or not. */
export type RepairFault = 'surroundings' | 'unknown';

/** What only the member's own agent knows. */
export interface LocalFacts {
  /** The durable promise, as read from or written to its own disk. */
  readonly promisedTerm: number;
  /** A slow operation of this agent is under way; decide asks for nothing but a fence then. */
  readonly busy: boolean;
  /** Failed attempts of the repair now needed, and when the last one ended (monotonic); reset by success. */
  readonly repair: { readonly attempts: number; readonly lastAtMs: number; readonly fault: RepairFault };
  /** Monotonic time at which this agent began; it does not judge others before it could have heard of them. */
  readonly startedAtMs: number;
  /** Monotonic time of *sending* the last renewal that the store has confirmed; the lease of a primary with acks 0 counts from here. */
  readonly leaseSentAtMs: number;
  /** What the primary's agent waits for, once its PostgreSQL is open in this term: see action `confirm`. */
  readonly open: { readonly term: number; readonly barrierLsn: bigint; readonly confirmed: boolean; readonly atWallMs: number } | null;
  /** A change of the synchronous set whose barrier is not passed yet: the names that are in force since `lsn`. */
  readonly namesInForceSince: { readonly names: string; readonly lsn: bigint } | null;
  /**
   * Monotonic time at which this agent first saw the present proposal.term, rule.term and intent.id (its start, when they
   * were there already), and when it last saw a report in which the rule's primary led its term (`leadingServer`).
   */
  readonly seen: {
    readonly proposalAtMs: number;
    readonly ruleAtMs: number;
    readonly intentAtMs: number;
    readonly leadingAtMs: number;
  };
  /**
   * On a primary: when each replica was last seen streaming under the present term and answering (pg_stat_replication.reply_time
   * is newer than a few heartbeats). On a replica: under its own name, when its walreceiver last streamed under the present term.
   */
  readonly streamedAtMs: Readonly<Record<MemberId, number>>;
  /** Of a cascading replica: when its upstream was last seen to stream under the present term, and since when it follows whom it follows now (monotonic). */
  readonly cascade: { readonly upstreamAtMs: number; readonly sinceMs: number };
  /** The greatest flush LSN that the primary of this term has reported: the measure of what an async failover loses. */
  readonly primaryFlush: { readonly term: number; readonly lsn: bigint } | null;
  /** Every router has said that no transaction is open on the primary any more (switchover). False while unknown. */
  readonly routersDrained: boolean;
  /** Names of the physical slots of ours (understudy_*) on this server; null while unknown. */
  readonly slots: readonly string[] | null;
  /**
   * On a replica: logical failover slots from its own time as a primary. PostgreSQL makes no copy of the present primary's slot where one of the same
   * name is in the way, and such a leftover holds back WAL for ever.
   */
  readonly leftoverSlots: readonly string[];
  /** This server's files are those of a plain one already. */
  readonly isReleased: boolean;
  /** Of a member of a standby cluster: what it has seen of the source; null or absent: it has not looked yet. */
  readonly source?: SourceFacts | null;
}

/** Everything that a decision may depend on. Plain data: the same view gives the same decision. */
export interface View {
  readonly self: MemberId;
  readonly config: FailoverConfig;
  /** The newest state of the store that this agent has; a change is refused by compare-and-swap if it is not the newest. */
  readonly state: ClusterState;
  readonly members: Readonly<Record<MemberId, HeardMember>>;
  readonly local: LocalFacts;
  /**
   * Monotonic time of *sending* the newest request by whose answer `state` and `members` are known to be no older than that
   * moment. Others are judged silent at this time, never at `now`, so an agent that lost the store declares nobody dead.
   * Losing the store demotes nobody, save with acks 0.
   */
  readonly storeHeardAtMs: number;
  /** Wall clock, only to be written into records for people. */
  readonly wallMs: number;
}
