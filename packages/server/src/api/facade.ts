import type { ClusterEvent, ClusterState, MemberId } from '@understudy/core/cluster';
import type { StatusDocument } from './types.ts';

/** Something that an operator asks for. */
export type OperationRequest =
  | { readonly kind: 'switchover'; readonly to: MemberId | null }
  | { readonly kind: 'failover'; readonly to: MemberId | null; readonly acceptDataLoss: boolean }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'add-replica' }
  | { readonly kind: 'remove-replica'; readonly id: MemberId }
  | { readonly kind: 'shutdown' };

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
  state(): ClusterState;
  /** Events with a number above `afterId`, oldest first, at most `limit`; older ones may have been dropped. */
  eventsAfter(afterId: number, limit: number): readonly ClusterEvent[];
  subscribe(listener: (event: ClusterEvent) => void): () => void;
  /** Performs it and waits for the outcome, at most `timeoutMs`. Throws UnderstudyError. */
  perform(request: OperationRequest, timeoutMs: number): Promise<OperationResult>;
  /** The token that operations must carry. */
  readonly token: string;
  /** Where a read-only client connects: role router goes through the proxy, the others to a server itself. */
  url(role: 'router' | 'primary' | 'replica'): string;
}
