import type { PrimaryState, RoutableServer, Topology } from './topology.ts';

/** What a server says of itself. */
export interface SelfReport {
  readonly role: 'primary' | 'replica';
  /** 0 when it will not say. */
  readonly timeline: number;
  /** pg_control's system identifier; null when it will not say. */
  readonly systemIdentifier: string | null;
}

/** A server that a router was told of, and what it said of itself; null: it cannot be reached. */
export interface FoundServer {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly report: SelfReport | null;
}

/** What is known before any server was asked. */
export const NOTHING_FOUND: Topology = {
  term: 0,
  primary: { kind: 'absent', reason: 'no server has answered yet' },
  replicas: [],
  history: [],
};

/**
 * The topology of a cluster that somebody else runs, from what its servers say of themselves. There is no rule that names the primary, so the one
 * on the newest timeline is believed, and never one on an older timeline than a primary that was seen before: it is an old one that has come back.
 * The term counts the changes of the primary.
 */
export function discoveredTopology(servers: readonly FoundServer[], before: Topology): Topology {
  const newest = before.primary.kind === 'absent' ? lastTimeline(before) : before.primary.server.timeline;
  const primary = believed(servers, before, newest);
  const systemIdentifier = primary?.report?.systemIdentifier ?? null;
  const replicas = servers.filter(({ report }) => report?.role === 'replica' && sameCluster(report.systemIdentifier, systemIdentifier));
  const known = lastPrimary(before);
  const changed = primary !== null && (known === null || known.id !== primary.id || known.timeline !== (primary.report?.timeline ?? 0));
  return {
    term: changed ? before.term + 1 : before.term,
    primary: primary === null ? absent(servers, before, newest) : { kind: 'open', server: routable(primary) },
    replicas: replicas.map(routable),
    history: primary === null && known !== null ? before.history : NO_HISTORY,
  };
}

const NO_HISTORY: Topology['history'] = [];

function believed(servers: readonly FoundServer[], before: Topology, newest: number): FoundServer | null {
  const known = lastPrimary(before);
  let best: FoundServer | null = null;
  for (const server of servers) {
    if (server.report?.role !== 'primary' || server.report.timeline < newest) continue;
    const ahead = server.report.timeline - (best?.report?.timeline ?? -1);
    if (ahead > 0 || (ahead === 0 && server.id === known?.id)) best = server;
  }
  return best;
}

/** The last primary outlives its absence in the reason's place: an absent primary keeps who it was. */
function lastPrimary(topology: Topology): RoutableServer | null {
  return topology.primary.kind === 'absent' ? (topology.primary.last ?? null) : topology.primary.server;
}

function lastTimeline(topology: Topology): number {
  return lastPrimary(topology)?.timeline ?? 0;
}

function absent(servers: readonly FoundServer[], before: Topology, newest: number): PrimaryState {
  const last = lastPrimary(before);
  const old = servers.find(server => server.report?.role === 'primary');
  const silent = servers.filter(server => server.report === null).map(server => server.id);
  const reason = old
    ? `${old.id} says that it is one, on timeline ${old.report?.timeline}, but timeline ${newest} has begun elsewhere`
    : `no server says that it is one${silent.length > 0 ? ` (${silent.join(', ')} cannot be reached)` : ''}`;
  return last === null ? { kind: 'absent', reason } : { kind: 'absent', reason, last };
}

function sameCluster(a: string | null, b: string | null): boolean {
  return a === null || b === null || a === b;
}

function routable({ id, host, port, report }: FoundServer): RoutableServer {
  return { id, host, port, timeline: report?.timeline ?? 0, weight: 100, zone: null };
}
