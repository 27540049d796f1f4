import type { ClusterEvent, ClusterState, MemberId, UnderstudyError } from '@understudy/core/cluster';
import type { PromotionVerdict, PromotionWish, RestartStep } from '@understudy/core/failover';
import type { StatementSample, Topology } from '@understudy/core/routing';
import type { StatusDocument, StatusSample, TourChapter, TourDocument } from './types.ts';

/** Something that an operator asks for. */
export type OperationRequest =
  | { readonly kind: 'switchover'; readonly to: MemberId | null }
  | { readonly kind: 'failover'; readonly to: MemberId | null; readonly acceptDataLoss: boolean }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'add-replica'; readonly applyDelayMs?: number | undefined; readonly follows?: MemberId | null }
  | { readonly kind: 'remove-replica'; readonly id: MemberId }
  | RestartRequest
  /** The member `to`, on another machine, takes the place of `from`. */
  | { readonly kind: 'move'; readonly from: MemberId; readonly to: MemberId }
  /** All servers go on without Understudy. */
  | { readonly kind: 'release' }
  /** Makes a standby cluster take writes. */
  | ({ readonly kind: 'promote' } & PromotionWish)
  /** Makes the cluster the standby of another one, at that connection string. */
  | { readonly kind: 'demote'; readonly standbyOf: string }
  | { readonly kind: 'shutdown' };

/** Servers that are to be started anew, one after the other. */
export type RestartRequest =
  | {
      readonly kind: 'restart';
      /** Those with settings that wait for it, all, or one. */
      readonly which: { readonly kind: 'pending' } | { readonly kind: 'all' } | { readonly kind: 'member'; readonly id: MemberId };
    }
  /** Those that run another minor version than is installed. */
  | { readonly kind: 'upgrade' };

/** What became of it. Refusals and failures are thrown as UnderstudyError. */
export interface OperationResult {
  /** One sentence. */
  readonly message: string;
  readonly member: MemberId | null;
  readonly term: number | null;
}

/** All that the HTTP API (and by it the CLI and the dashboard) may ask of a running cluster. */
export interface ClusterFacade {
  status(): StatusDocument;
  /** What the status was over the last minutes, oldest first. */
  samples(): readonly StatusSample[];
  state(): ClusterState;
  /** What routers may send where. */
  topology(): Topology;
  /** Events with a number above `afterId`, oldest first, at most `limit`; older ones may have been dropped. */
  eventsAfter(afterId: number, limit: number): readonly ClusterEvent[];
  subscribe(listener: (event: ClusterEvent) => void): () => void;
  /** Samples of what the router routes, until the returned function is called. */
  watchStatements(listener: (sample: StatementSample) => void): () => void;
  /** Performs it and waits for the outcome, at most `timeoutMs`. Throws UnderstudyError. */
  perform(request: OperationRequest, timeoutMs: number): Promise<OperationResult>;
  /** What a restart or an upgrade would do now. Throws UnderstudyError. */
  restartSteps(request: RestartRequest): readonly RestartStep[];
  /** Why the cluster cannot be released now; null when it can. */
  releaseRefusal(): UnderstudyError | null;
  /** What a promotion would do now. Throws UnderstudyError. */
  promotion(wish: PromotionWish): Extract<PromotionVerdict, { kind: 'ready' }>;
  /** What would be refused of a demotion, the source's own answer apart. Throws UnderstudyError. */
  checkDemotion(standbyOf: string): void;
  /** Whether `add-replica` makes a member on this machine, or a person starts it on another. */
  readonly newMembers: 'here' | 'elsewhere';
  readonly tour: TourDoor;
  /** The token that operations must carry. */
  readonly token: string;
  /** Where a read-only client connects: role router goes through the proxy, the others to a server itself. */
  url(role: 'router' | 'primary' | 'replica'): string;
}

/** The guided tour of the running cluster. Refusals and failures are thrown as UnderstudyError. */
export interface TourDoor {
  document(): TourDocument;
  /** Makes the small blog and lets its readers and writer work. */
  start(): Promise<TourDocument>;
  /** Plays one chapter to its end. */
  play(chapter: string): Promise<TourChapter>;
  /** Ends the work and removes what the tour has made. */
  stop(): Promise<TourDocument>;
}
