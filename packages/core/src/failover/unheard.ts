import type { MemberId, ReplicaServer, Rule, Sight } from '../cluster/index.ts';
import { lagBytes, maxLsn, parseStreamName } from '../cluster/index.ts';
import { beganLately, isLive, liveCandidates, mayLead, maySync, reportOf } from './facts.ts';
import type { View } from './view.ts';

/** Who is further behind than this would let commits wait for longer than a primary that goes on alone. */
const CATCH_UP_BYTES = 16 * 1024 * 1024;

export interface Unheard {
  /** For how long all of these have not heard the primary. */
  readonly silentMs: number;
  readonly by: readonly MemberId[];
}

/**
 * A primary that runs and reaches the store, and has lost its replicas: too few of the cohort hear it for a commit to be acknowledged, and whoever may be
 * elected in its place reaches enough of the others. Null: it is heard, or nobody is known to be better placed.
 *
 * Silence alone says little, since a replica whose disk stalls takes no messages either: those who do not hear the primary must have tried to connect to
 * it, and have got nothing back from its machine. And a member that nobody reaches would be no better.
 */
export function unheardPrimary(view: View, rule: Rule, nowMs: number): Unheard | null {
  if (!rule.established || rule.acks === 0) return null;
  // A network that goes to and fro: the primary that has lost its replicas once more goes on as `whenAlone` says.
  if (beganLately(view, nowMs, trigger => trigger === 'primary-unheard')) return null;
  const by = rule.cohort.filter(id => hasLostPrimary(view, rule, id, nowMs));
  // Whoever is silent may acknowledge all the same.
  if (rule.cohort.length - by.length >= rule.acks) return null;
  if (!isBetterPlaced(view, rule, nowMs)) return null;
  return { by, silentMs: Math.min(...by.map(id => publishedSight(view, id)!.silentMs)) };
}

function hasLostPrimary(view: View, rule: Rule, id: MemberId, nowMs: number): boolean {
  const replica = replicaOf(view, id, nowMs);
  const sight = publishedSight(view, id);
  if (replica === null || sight === null || parseStreamName(replica.followsAs ?? '')?.term !== rule.term) return false;
  return sight.silentMs >= view.config.streamVetoMs && sight.lost.includes(rule.primary);
}

/** Whoever an election could choose is reached by as many replicas as commits wait for, none of them far behind. */
function isBetterPlaced(view: View, rule: Rule, nowMs: number): boolean {
  const replicas = Object.keys(view.state.members).flatMap(id => {
    const server = id === rule.primary ? null : replicaOf(view, id, nowMs);
    return server === null || server.timeline !== rule.timeline ? [] : [{ id, lsn: endOf(server) }];
  });
  const furthest = replicas.reduce((most, { lsn }) => maxLsn(most, lsn), 0n);
  const close = replicas.filter(({ lsn }) => lagBytes(furthest, lsn) <= CATCH_UP_BYTES).map(({ id }) => id);
  const reach = (to: MemberId): number =>
    close.filter(id => id !== to && maySync(view.state.members[id]) && publishedSight(view, id)?.reached.includes(to)).length;
  const electable = liveCandidates(view, rule, nowMs).filter(id => mayLead(view.state.members[id]) && close.includes(id));
  return electable.length > 0 && electable.every(id => reach(id) >= rule.acks);
}

function replicaOf(view: View, id: MemberId, nowMs: number): ReplicaServer | null {
  const server = reportOf(view, id)?.server;
  return server?.kind === 'replica' && isLive(view, id, nowMs) ? server : null;
}

function publishedSight(view: View, id: MemberId): Sight | null {
  return reportOf(view, id)?.sight ?? null;
}

function endOf({ walEnd, receiveLsn, replayLsn }: ReplicaServer): bigint {
  return walEnd?.lsn ?? maxLsn(receiveLsn ?? 0n, replayLsn ?? 0n);
}
