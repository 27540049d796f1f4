import type { MemberId } from '@understudy/core/cluster';

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
  /** Human decisions that are waited for. */
  readonly alarms: readonly { readonly member: MemberId; readonly code: string; readonly message: string }[];
  readonly supervisorPid: number;
  readonly dataDirectory: string;
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
  readonly inCohort: boolean;
  /** What it is doing, with progress, when it is neither running nor stopped. */
  readonly detail: string | null;
  readonly agentPid: number | null;
}

export interface RouterStatus {
  readonly clients: number;
  /** Statements answered by each member as reads. */
  readonly reads: Readonly<Record<MemberId, number>>;
  readonly writes: number;
  /** Statements that wait for a primary or a fresh replica now. */
  readonly held: number;
  readonly pid: number | null;
}
