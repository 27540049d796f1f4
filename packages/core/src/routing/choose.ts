import type { ConsistencyLevel, Requirement, RouterCausality, SessionCausality } from './causality.ts';
import { requirement } from './causality.ts';
import { type Floor, satisfies } from './floors.ts';
import { findReplica, pickReplica } from './pick.ts';
import type { RouteReason } from './reasons.ts';
import type { BalancePolicy, ReplicaState } from './replica.ts';
import type { RoutableServer, Topology } from './topology.ts';

/** What the operator decided about reads. */
export interface ReadPolicy {
  readonly balance: BalancePolicy;
  /** `never`: not even when no replica can serve; `fallback`: then; `share`: as one among the replicas. */
  readonly readsOnPrimary: 'never' | 'fallback' | 'share';
  /** When no replica is fresh enough: wait up to `freshWaitMs` and then take the primary; the primary at once; or an error. */
  readonly onStale: 'wait' | 'primary' | 'error';
  readonly freshWaitMs: number;
  /** The router's own zone; null: zones do not matter. */
  readonly zone: string | null;
}

/** All that a choice depends on besides the statement and the session. The replicas are those of the topology, in any order. */
export interface RouterView {
  readonly topology: Topology;
  readonly replicas: readonly ReplicaState[];
  readonly causality: RouterCausality;
  /** Reads that the primary has in flight, for `readsOnPrimary: share`. */
  readonly primaryState: ReplicaState | null;
  readonly policy: ReadPolicy;
}

/** One statement that needs a server, outside a transaction or at its beginning. */
export interface RouteRequest {
  /** `replica`: a read; `primary`: anything else. */
  readonly demand: 'replica' | 'primary';
  /** What the session or a hint asks for: `primary` sends a read there; `replica` never lets it fall back there. */
  readonly wish: 'auto' | 'primary' | 'replica';
  readonly level: ConsistencyLevel;
  /** How long this statement has waited for freshness already; 0 on the first call. */
  readonly waitedMs: number;
}

export type Choice =
  | { readonly kind: 'primary'; readonly server: RoutableServer; readonly reason: RouteReason }
  | { readonly kind: 'replica'; readonly replica: ReplicaState; readonly reason: RouteReason }
  /** Until the primary has answered question `mark`, then choose again. Send the question if it is not under way. */
  | { readonly kind: 'wait-probe'; readonly mark: number; readonly timeoutMs: number; readonly reason: RouteReason }
  /** Until some replica satisfies the floor, then choose again with what was waited. */
  | { readonly kind: 'wait-replay'; readonly floor: Floor; readonly timeoutMs: number; readonly reason: RouteReason }
  /** There is no server to send it to now: queue it until the topology changes. */
  | { readonly kind: 'hold'; readonly reason: RouteReason }
  | { readonly kind: 'error'; readonly reason: RouteReason };

/** Chooses the server for one statement. `random` gives numbers from 0 up to but not including 1. */
export function choose(view: RouterView, request: RouteRequest, session: SessionCausality, nowMs: number, random: () => number): Choice {
  if (request.demand === 'primary') return toPrimary(view, 'write');
  if (request.wish === 'primary') return toPrimary(view, 'asked-for-primary');
  const { topology, replicas } = view;
  const needed = requirement(request.level, session, view.causality, replicas, topology);
  if (needed.kind === 'pending') return whenPending(view, request, needed.mark);
  const replica = pickReplica(view, request.level, needed.floor, needed.onlyReplica, nowMs, random);
  if (replica === view.primaryState && replica !== null) return toPrimary(view, 'shared-read');
  if (replica) return { kind: 'replica', replica, reason: 'fresh-replica' };
  return withoutReplica(view, request, needed, nowMs);
}

function toPrimary(view: RouterView, reason: RouteReason): Choice {
  const primary = view.topology.primary;
  switch (primary.kind) {
    case 'open':
      return { kind: 'primary', server: primary.server, reason };
    case 'unconfirmed':
      return { kind: 'hold', reason: 'primary-unconfirmed' };
    case 'draining':
      return { kind: 'hold', reason: 'primary-draining' };
    case 'absent':
      return { kind: 'hold', reason: 'primary-absent' };
    default:
      return primary satisfies never;
  }
}

function mayFallBack(view: RouterView, request: RouteRequest): boolean {
  return request.wish !== 'replica' && view.policy.readsOnPrimary !== 'never';
}

/** It is not known yet how fresh the read must be. */
function whenPending(view: RouterView, request: RouteRequest, mark: number): Choice {
  if (view.topology.primary.kind === 'absent') return { kind: 'hold', reason: 'floor-unknown' };
  return stale(view, request, leftMs => ({ kind: 'wait-probe', mark, timeoutMs: leftMs, reason: 'floor-unknown' }));
}

/** No replica can serve the read. */
function withoutReplica(view: RouterView, request: RouteRequest, needed: Requirement & { kind: 'floor' }, nowMs: number): Choice {
  const usable = findReplica(view, request.level, nowMs);
  if (!usable) {
    if (mayFallBack(view, request)) return toPrimary(view, 'no-replica');
    return { kind: 'hold', reason: 'no-replica' };
  }
  return stale(view, request, leftMs => ({ kind: 'wait-replay', floor: needed.floor, timeoutMs: leftMs, reason: 'replicas-stale' }));
}

function stale(view: RouterView, request: RouteRequest, wait: (leftMs: number) => Choice): Choice {
  const { onStale, freshWaitMs } = view.policy;
  const leftMs = freshWaitMs - request.waitedMs;
  if (onStale === 'wait' && leftMs > 0) return wait(leftMs);
  if (onStale !== 'error' && mayFallBack(view, request)) return toPrimary(view, 'replicas-stale');
  return { kind: 'error', reason: 'replicas-stale' };
}

/** True when the replica has all that the floor asks for; for waiting lists and `explain`. */
export function isFresh(replica: ReplicaState, floor: Floor, topology: Topology): boolean {
  return satisfies(replica.position, floor, topology);
}
