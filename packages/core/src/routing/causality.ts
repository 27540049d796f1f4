import type { MemberId } from '../cluster/member.ts';
import { type Floor, mergeFloors, NO_FLOOR } from './floors.ts';
import { markNow, newProbes, type Probes, probeAnswered } from './probes.ts';
import type { ReplicaState } from './replica.ts';
import type { Topology } from './topology.ts';

/** What a router has acknowledged, shared by all its sessions (and workers). Changed in place by the functions below. */
export interface RouterCausality {
  /** Questions for the primary's insert position. */
  readonly probes: Probes;
  /** The floor that the last answer gave. */
  floor: Floor;
  /** The question whose answer covers every commit acknowledged so far; 0: none. */
  mark: number;
}

/** What one session has seen. Changed in place by the functions below. */
export interface SessionCausality {
  floor: Floor;
  /** The primary's question that covers what this session did on the primary; 0: nothing that `floor` does not hold. */
  primaryMark: number;
  /** The replica that served its last read, while how far that replica was is not known yet; null otherwise. */
  replicaId: MemberId | null;
  /** That replica's question whose answer is at or past what the read saw. */
  replicaMark: number;
}

/** The first question is due at once: what this router acknowledged before it was started again must be seen as well. */
export function newRouterCausality(): RouterCausality {
  return { probes: newProbes(), floor: NO_FLOOR, mark: 1 };
}

export function newSessionCausality(): SessionCausality {
  return { floor: NO_FLOOR, primaryMark: 0, replicaId: null, replicaMark: 0 };
}

/** A transaction that may have written has committed on the primary. Call it before the client is told. */
export function noteCommit(router: RouterCausality, session: SessionCausality): void {
  const mark = markNow(router.probes);
  router.mark = mark;
  session.primaryMark = mark;
}

/** The session has read on the primary: later reads must not be older, though nobody else's need be so new. Call it after the answer came. */
export function notePrimaryRead(router: RouterCausality, session: SessionCausality): void {
  session.primaryMark = markNow(router.probes);
}

/** The session has read on a replica. Call it after the answer came. */
export function noteReplicaRead(replica: ReplicaState, session: SessionCausality): void {
  session.replicaId = replica.server.id;
  session.replicaMark = markNow(replica.probes);
}

/** The session was handed a token. A floor is only ever raised. */
export function noteToken(session: SessionCausality, floor: Floor, topology: Topology): void {
  session.floor = mergeFloors(session.floor, floor, topology);
}

/** The primary answered question `number` with its insert position. */
export function noteFloor(router: RouterCausality, number: number, floor: Floor, topology: Topology): void {
  if (number <= router.probes.answered) return;
  probeAnswered(router.probes, number);
  router.floor = mergeFloors(router.floor, floor, topology);
}

/** Another worker of this router has acknowledged a commit: reads that begin from now on must see it. Call it before such a read. */
export function noteCommitElsewhere(router: RouterCausality): void {
  router.mark = markNow(router.probes);
}
