import type { MemberId } from '../cluster/member.ts';
import { type Floor, mergeFloors, NO_FLOOR } from './floors.ts';
import { isCovered, markNow, newProbes, type Probes, probeAnswered } from './probes.ts';
import type { ReplicaState } from './replica.ts';
import type { Topology } from './topology.ts';

/**
 * How fresh a read must be.
 * - `eventual`: anything that a replica has.
 * - `bounded`: from a replica that is not further behind than `maxLagMs`.
 * - `session`: everything that its own session wrote, read or was handed by a token; time never runs backwards.
 * - `strong`: that, and everything that this router acknowledged to anybody before the read began.
 */
export type ConsistencyLevel =
  | { readonly kind: 'eventual' }
  | { readonly kind: 'bounded'; readonly maxLagMs: number }
  | { readonly kind: 'session' }
  | { readonly kind: 'strong' };

export const EVENTUAL: ConsistencyLevel = { kind: 'eventual' };
export const SESSION: ConsistencyLevel = { kind: 'session' };
export const STRONG: ConsistencyLevel = { kind: 'strong' };

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

export function newRouterCausality(): RouterCausality {
  return { probes: newProbes(), floor: NO_FLOOR, mark: 0 };
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

/** True when somebody needs the answer of a question that is not even sent: send one. */
export function needsProbe(router: RouterCausality, session: SessionCausality | null): boolean {
  const mark = Math.max(router.mark, session?.primaryMark ?? 0);
  return mark > router.probes.sent;
}

/** Brings a session's floor up to date with the answers that have come. */
export function settle(session: SessionCausality, router: RouterCausality, replicas: readonly ReplicaState[], topology: Topology): void {
  if (session.primaryMark > 0 && isCovered(router.probes, session.primaryMark)) {
    session.floor = mergeFloors(session.floor, router.floor, topology);
    session.primaryMark = 0;
  }
  if (session.replicaId === null) return;
  const replica = replicas.find(candidate => candidate.server.id === session.replicaId);
  if (!replica || !isCovered(replica.probes, session.replicaMark)) return;
  session.floor = mergeFloors(session.floor, replica.position, topology);
  session.replicaId = null;
}

/** What a read needs of a server; `pending`: it is not known before the primary has answered question `mark`. */
export type Requirement =
  | { readonly kind: 'floor'; readonly floor: Floor; readonly onlyReplica: MemberId | null }
  | { readonly kind: 'pending'; readonly mark: number };

const ANYTHING: Requirement = { kind: 'floor', floor: NO_FLOOR, onlyReplica: null };

/**
 * What a read at this level needs now. `onlyReplica`: until it is known how far the replica of the session's last read was, no other replica can
 * be trusted not to be older.
 */
export function requirement(
  level: ConsistencyLevel,
  session: SessionCausality,
  router: RouterCausality,
  replicas: readonly ReplicaState[],
  topology: Topology,
): Requirement {
  if (level.kind === 'eventual' || level.kind === 'bounded') return ANYTHING;
  settle(session, router, replicas, topology);
  const mark = level.kind === 'strong' ? Math.max(router.mark, session.primaryMark) : session.primaryMark;
  if (!isCovered(router.probes, mark)) return { kind: 'pending', mark };
  const floor = level.kind === 'strong' && router.mark > 0 ? mergeFloors(session.floor, router.floor, topology) : session.floor;
  return { kind: 'floor', floor, onlyReplica: session.replicaId };
}
