import type { MemberId } from '../cluster/member.ts';
import type { SessionCausality } from './causality.ts';
import { type Floor, mergeFloors, NO_FLOOR } from './floors.ts';
import type { ConsistencyLevel } from './levels.ts';
import { isCovered, markNow } from './probes.ts';
import { writesElsewhere } from './topology.ts';
import type { RouterView } from './view.ts';

/** Brings a session's floor up to date with the answers that have come. */
function settle(session: SessionCausality, view: RouterView, nowMs: number): void {
  const { causality, topology } = view;
  if (session.replicaId !== null) settleReplica(session, session.replicaId, view, nowMs);
  if (session.primaryMark > 0 && isCovered(causality.probes, session.primaryMark)) {
    session.floor = mergeFloors(session.floor, causality.floor, topology);
    session.primaryMark = 0;
  }
}

function settleReplica(session: SessionCausality, id: MemberId, view: RouterView, nowMs: number): void {
  const replica = view.byId.get(id);
  if (replica && isCovered(replica.probes, session.replicaMark)) {
    session.floor = mergeFloors(session.floor, replica.position, view.topology);
  } else if (replica && nowMs - replica.observedAtMs <= view.policy.balance.maxSilenceMs) {
    return;
  } else {
    // It will not say how far it was. The primary is further than any replica ever was.
    session.primaryMark = markNow(view.causality.probes);
  }
  session.replicaId = null;
}

/** What a read needs of a server; `pending`: that is not known before the primary has answered question `mark`. */
export type Requirement =
  | { readonly kind: 'floor'; readonly floor: Floor; readonly onlyReplica: MemberId | null }
  | { readonly kind: 'pending'; readonly mark: number }
  /** Commits are made in another cluster, and nobody here knows of the newest: this level cannot be kept. */
  | { readonly kind: 'impossible' };

const ANYTHING: Requirement = { kind: 'floor', floor: NO_FLOOR, onlyReplica: null };

/**
 * What a read at this level needs now; moves what has been answered into the session's floor. `onlyReplica`: until it is known how far the replica
 * of the session's last read was, no other can be trusted not to be older.
 */
export function requirement(level: ConsistencyLevel, session: SessionCausality, view: RouterView, nowMs: number): Requirement {
  if (level.kind === 'eventual' || level.kind === 'bounded') return ANYTHING;
  if (writesElsewhere(view.topology) !== null) return { kind: 'impossible' };
  settle(session, view, nowMs);
  const router = view.causality;
  // Others may have written through another primary by now: what this router knows is no bound.
  if (level.kind === 'strong' && view.topology.isStale) return { kind: 'pending', mark: markNow(router.probes) };
  const mark = level.kind === 'strong' ? Math.max(router.mark, session.primaryMark) : session.primaryMark;
  if (!isCovered(router.probes, mark)) return { kind: 'pending', mark };
  const floor = level.kind === 'strong' ? mergeFloors(session.floor, router.floor, view.topology) : session.floor;
  return { kind: 'floor', floor, onlyReplica: session.replicaId };
}
