import { type Lsn, maxLsn, minLsn } from '../cluster/lsn.ts';
import type { Topology } from './topology.ts';

/**
 * A place in the WAL that a read must not be older than. Always after the end of a commit record, never before: it is sampled on the primary
 * once the commit has completed. Timeline 0 means "the timeline of the primary, whichever that is".
 */
export interface Floor {
  readonly timeline: number;
  readonly lsn: Lsn;
}

/** No floor at all: every server is fresh enough. */
export const NO_FLOOR: Floor = { timeline: 0, lsn: 0n };

/** Where a server stands: how far it has replayed (a replica) or written (a primary). */
export interface Position {
  readonly timeline: number;
  readonly lsn: Lsn;
}

/** The timeline that the primary writes; 0 while it is not known. */
export function currentTimeline(topology: Topology): number {
  return topology.primary.kind === 'absent' ? newestTimeline(topology) : topology.primary.server.timeline || newestTimeline(topology);
}

/** Without a primary, positions are told on the newest timeline that any replica follows. */
function newestTimeline(topology: Topology): number {
  let timeline = 0;
  for (const replica of topology.replicas) timeline = Math.max(timeline, replica.timeline);
  return timeline;
}

/**
 * Tells a floor on the timeline that the primary writes now. What lay past the point where its own timeline was left is lost, so the floor falls
 * back to that point; a timeline that is in no history was never ours, or is too old to be told, and gives the newest fork point to be safe.
 * A floor of a timeline newer than the topology knows stays as it is: only a server on that timeline satisfies it.
 */
export function mapFloor(floor: Floor, topology: Topology): Floor {
  const current = currentTimeline(topology);
  if (floor.timeline === current || floor.lsn === 0n) return floor;
  if (floor.timeline === 0) return { timeline: current, lsn: floor.lsn };
  if (floor.timeline > current) return floor;
  const fork = forkPoint(floor.timeline, topology);
  if (fork !== null) return { timeline: current, lsn: minLsn(floor.lsn, fork) };
  const newest = topology.history[topology.history.length - 1];
  return newest ? { timeline: current, lsn: newest.endLsn } : { timeline: current, lsn: floor.lsn };
}

/** Where a timeline ended, null when the history does not tell. */
function forkPoint(timeline: number, topology: Topology): Lsn | null {
  for (const fork of topology.history) if (fork.timeline === timeline) return fork.endLsn;
  return null;
}

/** The stricter of two floors of one topology. */
export function mergeFloors(a: Floor, b: Floor, topology: Topology): Floor {
  if (b.lsn === 0n) return a;
  if (a.lsn === 0n) return b;
  const left = mapFloor(a, topology);
  const right = mapFloor(b, topology);
  if (left.timeline !== right.timeline) return left.timeline > right.timeline ? left : right;
  return { timeline: left.timeline, lsn: maxLsn(left.lsn, right.lsn) };
}

/**
 * Whether a server at `position` has everything up to `floor`. A server that is still on an older timeline has only what that timeline shares
 * with the floor's; past the fork it has gone astray and satisfies nothing.
 */
export function satisfies(position: Position, floor: Floor, topology: Topology): boolean {
  if (floor.lsn === 0n) return true;
  const fork = forkPoint(position.timeline, topology);
  if (fork === null && position.timeline === floor.timeline) return position.lsn >= floor.lsn;
  if (fork !== null && position.lsn > fork) return false;
  const mapped = mapFloor(floor, topology);
  const isTold = position.timeline === mapped.timeline || (fork !== null && mapped.timeline === currentTimeline(topology));
  return isTold && position.lsn >= mapped.lsn;
}
