import type { SessionCausality } from './causality.ts';
import type { Floor } from './floors.ts';
import type { ConsistencyLevel } from './levels.ts';
import { findLastResort, findUsable, pickReplica } from './pick.ts';
import type { RouteReason } from './reasons.ts';
import type { ReplicaState } from './replica.ts';
import { requirement } from './requirement.ts';
import { type RoutableServer, writesElsewhere } from './topology.ts';
import type { RouterView } from './view.ts';

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
  /** Until the primary has answered question `mark`, then choose again. Send the question when none is under way. */
  | { readonly kind: 'wait-probe'; readonly mark: number; readonly timeoutMs: number; readonly reason: RouteReason }
  /** Until a replica next reports a position that satisfies the floor (not: has done so already), then choose again with what was waited. */
  | { readonly kind: 'wait-replay'; readonly floor: Floor; readonly timeoutMs: number; readonly reason: RouteReason }
  /** There is no server to send it to now: queue it until the topology or the replicas' states change. */
  | { readonly kind: 'hold'; readonly reason: RouteReason }
  | { readonly kind: 'error'; readonly reason: RouteReason };

/** Chooses the server for one statement. `random` gives numbers from 0 up to but not including 1. */
export function choose(view: RouterView, request: RouteRequest, session: SessionCausality, nowMs: number, random: () => number): Choice {
  if (request.demand === 'primary') return toPrimary(view, 'write');
  if (request.wish === 'primary') return toPrimary(view, 'asked-for-primary');
  const needed = requirement(request.level, session, view, nowMs);
  if (needed.kind === 'impossible') return { kind: 'error', reason: 'standby-level' };
  if (needed.kind === 'pending') return whenPending(view, request, needed.mark);
  const replica = pickReplica(view, request.level, needed.floor, needed.onlyReplica, nowMs, random);
  if (replica === null) return withoutReplica(view, request, needed.floor, nowMs);
  if (replica === view.primary) return toPrimary(view, 'shared-read');
  return { kind: 'replica', replica, reason: 'fresh-replica' };
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
      return primary.elsewhere === undefined ? { kind: 'hold', reason: 'primary-absent' } : { kind: 'error', reason: 'standby-cluster' };
    default:
      return primary satisfies never;
  }
}

function mayFallBack(view: RouterView, request: RouteRequest): boolean {
  return request.wish !== 'replica' && view.policy.readsOnPrimary !== 'never';
}

/** It is not known yet how fresh the read must be, and only the primary can tell. */
function whenPending(view: RouterView, request: RouteRequest, mark: number): Choice {
  const { kind } = view.topology.primary;
  if (kind === 'absent' || kind === 'unconfirmed') return toPrimary(view, 'floor-unknown');
  const timeoutMs = patienceMs(view, request);
  if (timeoutMs > 0) return { kind: 'wait-probe', mark, timeoutMs, reason: 'floor-unknown' };
  return stale(view, request, 'floor-unknown');
}

/** No replica can serve the read as it is. */
function withoutReplica(view: RouterView, request: RouteRequest, floor: Floor, nowMs: number): Choice {
  const timeoutMs = patienceMs(view, request);
  if (findUsable(view, nowMs)) {
    // A bound in milliseconds is not a position that one could wait for.
    if (timeoutMs > 0 && request.level.kind !== 'bounded') return { kind: 'wait-replay', floor, timeoutMs, reason: 'replicas-stale' };
    return stale(view, request, 'replicas-stale');
  }
  if (mayFallBack(view, request) && writesElsewhere(view.topology) === null) return toPrimary(view, 'no-replica');
  const ejected = findLastResort(view, request.level, floor, nowMs);
  return ejected ? { kind: 'replica', replica: ejected, reason: 'last-resort' } : { kind: 'hold', reason: 'no-replica' };
}

/** How long the read may still wait for freshness; 0: no longer. */
function patienceMs(view: RouterView, request: RouteRequest): number {
  return view.policy.onStale === 'wait' ? Math.max(0, view.policy.freshWaitMs - request.waitedMs) : 0;
}

function stale(view: RouterView, request: RouteRequest, reason: RouteReason): Choice {
  const isAlone = writesElsewhere(view.topology) !== null;
  if (!isAlone && view.policy.onStale !== 'error' && mayFallBack(view, request)) return toPrimary(view, reason);
  return { kind: 'error', reason };
}
