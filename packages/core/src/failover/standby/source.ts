import {
  commonLsn,
  isAncestor,
  type Lsn,
  type SourceAddress,
  type SourceFault,
  type SourceServer,
  type TimelineHistory,
  type WalPosition,
} from '../../cluster/index.ts';

/** A server of the source, with what only the member that asked it needs. */
export interface SeenSource extends SourceServer {
  readonly history: TimelineHistory;
  /** From where on our slot holds the WAL there; null: there is no such slot, or it has lost its WAL. */
  readonly slotLsn: Lsn | null;
}

/** What this member's agent has seen of the source when it looked last. */
export interface SourceFacts {
  /** System identifier of the source, in decimal; null while no server of it has answered. */
  readonly systemId: string | null;
  /** Those that answered and fit. */
  readonly servers: readonly SeenSource[];
  readonly faults: readonly SourceFault[];
}

/**
 * The server to stream from: of those on the newest timeline the primary, else the one that is followed already, else the one that is furthest. A primary of an
 * older timeline was replaced: what it still writes may not be part of the source's history.
 */
export function chooseSource(servers: readonly SeenSource[], present: SourceAddress | null): SeenSource | null {
  const newest = Math.max(...servers.map(({ timeline }) => timeline));
  const rank = (server: SeenSource): number => (server.role === 'primary' ? 2 : 0) + (present && isSameAddress(server, present) ? 1 : 0);
  const able = servers.filter(({ timeline }) => timeline === newest);
  return able.toSorted((a, b) => rank(b) - rank(a) || (b.lsn > a.lsn ? 1 : b.lsn < a.lsn ? -1 : 0))[0] ?? null;
}

export function isSameAddress(a: SourceAddress, b: SourceAddress): boolean {
  return a.host === b.host && a.port === b.port;
}

/**
 * Where the history of what is followed forks off before the end of what is here; null when it does not. One that holds less on the same timeline has not
 * diverged, and neither has one on an older timeline: it is waited for.
 */
export function forkBefore(end: WalPosition, ahead: WalPosition): Lsn | null {
  if (end.timeline >= ahead.timeline || isAncestor(end, ahead)) return null;
  return commonLsn(end, ahead);
}
