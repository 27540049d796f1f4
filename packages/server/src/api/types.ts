import type { ClusterEvent, ErrorCode, MemberId, TermRecord } from '@understudy/core/cluster';

import type { RouterTraffic } from '@understudy/core/routing';

export type { RoutedStatement, StatementSample } from '@understudy/core/routing';

/** `status --json` and GET /status, schema 1: fields may be added, never renamed. LSNs are in PostgreSQL's text form. */
export interface StatusDocument {
  readonly schema: 1;
  readonly cluster: string;
  readonly verdict: 'healthy' | 'degraded' | 'no-primary';
  /** One sentence for a person. */
  readonly summary: string;
  readonly term: number;
  readonly primary: MemberId | null;
  readonly paused: boolean;
  readonly durability: {
    readonly mode: 'quorum' | 'async';
    readonly acks: number;
    readonly cohort: readonly MemberId[];
    /** Whether a commit acknowledged now survives the loss of the primary. */
    readonly protected: boolean;
  };
  readonly endpoints: { readonly router: string; readonly http: string };
  readonly members: readonly MemberStatus[];
  readonly router: RouterStatus;
  /** Of a standby cluster; absent of any other. */
  readonly standby?: StandbyStatus | undefined;
  /** Human decisions that are waited for. */
  readonly alarms: readonly { readonly member: MemberId; readonly code: string; readonly message: string }[];
  readonly supervisorPid: number;
  readonly dataDirectory: string;
}

/** How a standby cluster follows its source. */
export interface StandbyStatus {
  /** Addresses of the source's servers. */
  readonly source: string;
  /** The member that is to stream from the source; null: there is none yet. */
  readonly leader: MemberId | null;
  /** The source's server that it streams from; null: from none. */
  readonly streamsFrom: string | null;
  /** Whether that is a primary or a replica there. */
  readonly streamsFromRole: 'primary' | 'replica' | null;
  /** How far the leader's replay is behind what the source was last seen to have; null: not known. */
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  /** How long ago a server of the source was last seen; null: by no member that is heard of. */
  readonly sourceSeenMs: number | null;
  /** When the last transaction that the leader has replayed was committed, by the source's wall clock. */
  readonly lastCommitAtMs: number | null;
}

export interface MemberStatus {
  readonly id: MemberId;
  readonly role: 'primary' | 'replica' | 'none';
  readonly state: 'running' | 'starting' | 'cloning' | 'rewinding' | 'stopped' | 'unreachable' | 'failed';
  readonly host: string;
  readonly port: number;
  readonly postmasterPid: number | null;
  readonly timeline: number | null;
  readonly receiveLsn: string | null;
  readonly replayLsn: string | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  /** How far each stage of replication is behind the primary, as the primary sees it; absent when it streams to nobody of that name. */
  readonly lagStages?: LagStages | undefined;
  /** Replay was paused by an operator: the replica takes no reads. Absent when it is not. */
  readonly replayPaused?: true | undefined;
  /** PostgreSQL's, e.g. 18.4; absent while it is not known. */
  readonly version?: string | undefined;
  /** What the next start takes; absent when it is what runs. */
  readonly installedVersion?: string | undefined;
  /** Settings whose new values wait for a restart; absent without any. */
  readonly pendingRestart?: readonly string[] | undefined;
  /** A delayed replica: it shows each change so much later, on purpose. Absent: at once. */
  readonly applyDelayMs?: number | undefined;
  /** A cascading replica: from whom it is to stream, and from whom it does now; null: from nobody. Absent: it follows the primary. */
  readonly cascade?: { readonly upstream: MemberId; readonly from: MemberId | null } | undefined;
  /** Of a standby cluster: it streams from the source, and the others from it. Absent where it does not. */
  readonly standbyLeader?: true | undefined;
  readonly inCohort: boolean;
  /** What it is doing, with progress, when it is neither running nor stopped. */
  readonly detail: string | null;
  readonly agentPid: number | null;
}

/** The way of WAL to a replica: sent by the primary, written and flushed by the replica, replayed there. Null: not known yet. */
export interface LagStages {
  readonly sent: StageLag | null;
  readonly written: StageLag | null;
  readonly flushed: StageLag | null;
  readonly replayed: StageLag | null;
}

export interface StageLag {
  readonly bytes: number;
  readonly ms: number;
}

export interface RouterStatus {
  readonly clients: number;
  /** Statements answered by each member as reads. */
  readonly reads: Readonly<Record<MemberId, number>>;
  readonly writes: number;
  /** Statements that wait for a primary or a fresh replica now. */
  readonly held: number;
  readonly pid: number | null;
  /** All else that it counts; absent before it has said anything. */
  readonly traffic?: RouterTraffic | undefined;
}

/** GET /events as JSON; oldest first. As SSE each event is one message with the same fields and `id` as Last-Event-ID. */
export interface EventsAnswer {
  readonly events: readonly ClusterEvent[];
}

/** GET /history: how each term came to be, oldest first. */
export interface HistoryAnswer {
  readonly terms: readonly TermRecord[];
}

/** What is kept of one status document. Counters of statements are since the router began (`routerPid`). */
export interface StatusSample {
  readonly atMs: number;
  readonly primary: string | null;
  readonly routerPid: number | null;
  readonly writes: number;
  readonly reads: Readonly<Record<string, number>>;
  readonly lag: Readonly<Record<string, { readonly bytes: number | null; readonly ms: number | null }>>;
}

/** GET /samples: the last minutes, one a second, oldest first. */
export interface SamplesAnswer {
  readonly samples: readonly StatusSample[];
}

/** GET /topology: what routers may send where. `version` changes with it; positions are in PostgreSQL's text form. */
export interface TopologyAnswer {
  readonly version: string;
  readonly topology: unknown;
}

/** GET /url, for who has the token. */
export interface UrlAnswer {
  readonly url: string;
}

/** GET /plan: what an operation would do now, and why it would be refused. */
export interface PlanAnswer {
  readonly allowed: boolean;
  /** The member that would lead, or would go; null when that is not known before. */
  readonly member: MemberId | null;
  /** What would happen, in order. Empty when refused. */
  readonly steps: readonly string[];
  /** Null when it is allowed. */
  readonly refusal: ErrorBody | null;
}

/** What an error is over HTTP and in `--json`: one of the catalogue, with its details. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  /** What to do about it. */
  readonly action: string;
  readonly details: Readonly<Record<string, string | number>>;
}

/** Every answer that is not a success. */
export interface ErrorAnswer {
  readonly error: ErrorBody;
}

/** The answer of health checks; the status code says the same (200 yes, 503 no). */
export interface HealthAnswer {
  readonly member: MemberId | null;
  readonly role: MemberStatus['role'] | null;
  readonly state: MemberStatus['state'] | null;
  readonly timeline: number | null;
  readonly lagBytes: number | null;
  /** Why. */
  readonly message: string;
}

/** GET /tour: the guided tour, as far as it has come. */
export interface TourDocument {
  readonly state: 'off' | 'starting' | 'on' | 'stopping';
  /** What the blog's readers and writer do; null while there are none. */
  readonly workload: TourWorkload | null;
  readonly chapters: readonly TourChapter[];
}

export interface TourWorkload {
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  /** Since the start of the tour. */
  readonly reads: number;
  /** Writes that were acknowledged. */
  readonly writes: number;
  /** Statements that ended with an error, or whose connection did. */
  readonly failed: number;
  readonly lastFailure: string | null;
}

export interface TourChapter {
  readonly id: string;
  readonly title: string;
  /** The idea, in two or three sentences. */
  readonly idea: string;
  /** What is done to the cluster. */
  readonly doing: string;
  readonly state: 'ready' | 'running' | 'done' | 'failed';
  /** What was measured, in the order in which it was. */
  readonly findings: readonly TourFinding[];
  /** Why it could not be played to its end. */
  readonly failure: ErrorBody | null;
  readonly question: string;
  readonly answer: string;
}

export interface TourFinding {
  readonly label: string;
  readonly value: string;
}
