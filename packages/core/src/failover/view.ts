import type { ClusterState, FailoverConfig, MemberId, MemberReport } from '../cluster/index.ts';

/** A member as this agent sees it. */
export interface HeardMember {
  readonly report: MemberReport;
  /** This agent's monotonic clock when the newest report arrived; for itself: now. */
  readonly heardAtMs: number;
}

/** What only the member's own agent knows. */
export interface LocalFacts {
  /** The durable promise, as read from or written to its own disk. */
  readonly promisedTerm: number;
  /** A slow operation of this agent is under way; decide asks for nothing but a fence then. */
  readonly busy: boolean;
  /** Failed attempts of the repair now needed, and when the last one ended (monotonic); reset by success. */
  readonly repair: { readonly attempts: number; readonly lastAtMs: number };
  /** Monotonic time at which this agent began; it does not judge others before it could have heard of them. */
  readonly startedAtMs: number;
  /** Monotonic time of *sending* the last renewal that the store has confirmed; the lease of a primary with acks 0 counts from here. */
  readonly leaseSentAtMs: number;
  /** What the primary's agent waits for, once its PostgreSQL is open in this term: see action `confirm`. */
  readonly open: { readonly term: number; readonly barrierLsn: bigint; readonly confirmed: boolean } | null;
  /** A change of the synchronous set whose barrier is not passed yet: the names that are in force since `lsn`. */
  readonly namesInForceSince: { readonly names: string; readonly lsn: bigint } | null;
}

/** Everything that a decision may depend on. Plain data: the same view gives the same decision. */
export interface View {
  readonly self: MemberId;
  readonly config: FailoverConfig;
  /** The newest state of the store that this agent has; a change is refused by compare-and-swap if it is not the newest. */
  readonly state: ClusterState;
  readonly members: Readonly<Record<MemberId, HeardMember>>;
  readonly local: LocalFacts;
  /** Monotonic time at which the store last answered. Losing it demotes nobody, save with acks 0. */
  readonly storeHeardAtMs: number;
  /** Wall clock, only to be written into records for people. */
  readonly wallMs: number;
}
