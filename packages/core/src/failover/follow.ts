import type { MemberId, PrimaryServer, ReplicaServer, Rule, WalPosition } from '../cluster/index.ts';
import { commonLsn, formatLsn, isAncestor, lagBytes, maxLsn, parseFollowName, streamName } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { changeStore, decision, isHoldingBack, isLive, isolatedWalEnd, leadingServer, repairDue, reportOf, selfReport } from './facts.ts';
import { slotName } from './slots.ts';
import { copySourceOf, type Source, sourceOf } from './upstream.ts';
import type { View } from './view.ts';

/** A replica that gets no WAL for this many replica timeouts, from a primary that is well, is cloned anew: what it needs is gone there. */
export const STARVED_TIMEOUTS = 6;

/** So many times a cascading replica asks its upstream for its first copy. */
const UPSTREAM_COPIES = 2;

/** A member that does not lead: follow the primary of this term, by the gentlest way that leads there. */
export function follow(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const server = selfReport(view)?.server;
  const leaderReport = reportOf(view, rule.primary);
  const leader = isLive(view, rule.primary, nowMs) ? leadingServer(leaderReport, rule) : null;
  if (server === undefined) return [];
  switch (server.kind) {
    case 'absent':
      return leader === null || !repairDue(view, nowMs) ? repairAlarm(view) : [firstCopy(view, rule, nowMs), ...repairAlarm(view)];
    case 'stopped':
      return startReplica(view, rule, leader, nowMs);
    case 'replica':
      return followAsReplica(view, rule, server, leader, nowMs);
    case 'failing':
      return server.was === 'replica' ? [alarm('replica-failing', { fault: server.fault })] : [];
    case 'starting':
    case 'unresponsive':
    case 'primary':
      return [];
    default:
      return server satisfies never;
  }
}

/** Isolated at first: only a running server can say where its WAL ends, and so whether it may follow as it is. */
function startReplica(view: View, rule: Rule, leader: PrimaryServer | null, nowMs: number): readonly Decision[] {
  const { attempts, fault } = view.local.repair;
  if (!repairDue(view, nowMs)) return repairAlarm(view);
  // While the new primary opens, a member that it does not wait for keeps out of its way.
  const isOpening = !rule.established && nowMs - view.local.seen.ruleAtMs < view.config.electionTimeoutMs / 2;
  if (isOpening && !rule.cohort.includes(view.self)) return [];
  if (attempts >= 3 && leader !== null && fault === 'unknown')
    return [clone(view, rule.primary, `It did not start ${attempts} times.`), ...repairAlarm(view)];
  const alarms =
    leader === null && attempts >= view.config.repairAttempts ? [alarm('replica-cannot-start', { attempts })] : repairAlarm(view);
  return [decision({ kind: 'start-isolated' }, 'Start as a replica to see where its WAL ends.', { attempts }), ...alarms];
}

function followAsReplica(view: View, rule: Rule, server: ReplicaServer, leader: PrimaryServer | null, nowMs: number): readonly Decision[] {
  if (server.followsAs !== null && parseFollowName(server.followsAs)?.term !== rule.term)
    return [decision({ kind: 'isolate' }, `It follows as ${server.followsAs}, but term ${rule.term} rules.`)];
  if (leader === null) return server.receiver?.streaming ? [] : followElected(view, rule, server, nowMs);
  const source = sourceOf(view, rule, server, nowMs);
  if (source.kind === 'member' && server.followsAs !== null && server.followsAs !== source.applicationName)
    return [decision({ kind: 'isolate' }, `It follows as ${server.followsAs}, and is to follow ${source.id} now.`)];
  if (server.receiver?.streaming) return [];
  const leaderEnd = endOfLeader(leader, server);
  const end = server.walEnd;
  const isAsked = server.followsAs !== null;
  if (isHoldingBack(view.state.members[view.self], server)) {
    // Whether it may follow as it is shows when it has applied what it has: nobody counts on it, and it is repaired then like any other.
    return isAsked ? [] : followSource(view, rule, source, end, 'once the WAL that is here has been applied');
  }
  if (end === null) return [];
  if (!isAncestor(end, leaderEnd)) return rejoin(view, rule, end, leaderEnd, leader, nowMs);
  return isAsked ? starved(view, rule, nowMs) : followSource(view, rule, source, end, 'the history of the term contains all that is here');
}

function followSource(view: View, rule: Rule, source: Source, end: WalPosition | null, why: string): readonly Decision[] {
  if (source.kind === 'not-yet') return [];
  const what = source.id === rule.primary ? 'the primary' : 'its upstream';
  return followMember(view, rule, source, end, `Follow ${source.id}, ${what} in term ${rule.term}: ${why}.`);
}

/**
 * Connecting takes as long as the promotion itself, so who counts in the new term connects to the elected member before that is a primary, and streams on
 * through its promotion. Not when that member has received the beginning of a record and not its rest: its new timeline begins before that part, and
 * what was flushed of the part would be counted as an acknowledgement of what is written in its place (a walsender keeps the positions that it was
 * told of across a change of timeline: StartReplication in walsender.c).
 */
function followElected(view: View, rule: Rule, server: ReplicaServer, nowMs: number): readonly Decision[] {
  if (rule.established || !rule.cohort.includes(view.self) || server.followsAs !== null || !isLive(view, rule.primary, nowMs)) return [];
  const elected = reportOf(view, rule.primary);
  if (elected?.server.kind !== 'replica' || elected.promisedTerm !== rule.term) return [];
  const { receiveLsn, replayLsn } = elected.server;
  const electedEnd = isolatedWalEnd(elected.server);
  const end = isolatedWalEnd(server);
  if (electedEnd === null || end === null || !isAncestor(end, electedEnd)) return [];
  if (replayLsn === null || (receiveLsn !== null && receiveLsn > replayLsn)) return [];
  const source = { id: rule.primary, applicationName: streamName(view.self, rule.term) };
  const reason = `Follow ${rule.primary}, elected for term ${rule.term}, so as to be connected when it is promoted.`;
  return followMember(view, rule, source, end, reason);
}

export function followMember(
  view: View,
  rule: Rule,
  { id, applicationName }: Pick<Extract<Source, { kind: 'member' }>, 'id' | 'applicationName'>,
  end: WalPosition | null,
  reason: string,
): readonly Decision[] {
  const spec = view.state.members[id];
  if (spec === undefined) return [];
  const action = { kind: 'follow', from: id, host: spec.host, port: spec.port, applicationName, slot: slotName(view.self) } as const;
  return [decision(action, reason, { from: id, term: rule.term, walEnd: end && formatLsn(end.lsn), timeline: end?.timeline ?? null })];
}

/** A report is older than the WAL that was streamed meanwhile; on the leader's own timeline nobody else has written. */
function endOfLeader(leader: PrimaryServer, server: ReplicaServer): WalPosition {
  const lsn = server.walEnd?.timeline === leader.timeline ? maxLsn(leader.flushLsn, server.walEnd.lsn) : leader.flushLsn;
  return { timeline: leader.timeline, lsn, history: leader.history };
}

/** What lies past the fork was never part of this term. The leader of the term holds the data: that was seen just now. */
function rejoin(
  view: View,
  rule: Rule,
  end: WalPosition,
  leaderEnd: WalPosition,
  leader: PrimaryServer,
  nowMs: number,
): readonly Decision[] {
  const fromLsn = commonLsn(end, leaderEnd);
  const divergedBytes = lagBytes(end.lsn, fromLsn);
  const reported = reportLoss(view, end, fromLsn);
  if (reported !== null) return [reported];
  if (!repairDue(view, nowMs)) return repairAlarm(view);
  const spec = view.state.members[rule.primary];
  if (spec === undefined) return [];
  const action = {
    kind: 'rejoin',
    primary: rule.primary,
    host: spec.host,
    port: spec.port,
    fromLsn,
    leaderHistory: leader.history,
  } as const;
  const reason = `Its WAL went ${divergedBytes} bytes past ${formatLsn(fromLsn)}, where the history of term ${rule.term} forked off: keep that aside, then rewind or clone.`;
  return [
    decision(action, reason, {
      divergedBytes,
      fromLsn: formatLsn(fromLsn),
      walEnd: formatLsn(end.lsn),
      attempts: view.local.repair.attempts,
    }),
    ...repairAlarm(view),
  ];
}

/** An asynchronous failover could only estimate its loss; the diverged WAL says it to the byte. */
function reportLoss(view: View, end: WalPosition, fromLsn: bigint): Decision | null {
  if (view.state.durability.mode !== 'async') return null;
  const next = view.state.history.find(record => record.timeline > end.timeline);
  const lost = lagBytes(end.lsn, fromLsn);
  if (next === undefined || next.lostBytes >= lost) return null;
  const history = view.state.history.map(record => (record === next ? { ...record, lostBytes: lost } : record));
  return changeStore(
    { ...view.state, history },
    `The failover to term ${next.term} lost ${lost} bytes of WAL that only ${view.self} held.`,
    {
      term: next.term,
      lostBytes: lost,
      estimatedBytes: next.lostBytes,
    },
  );
}

/** It follows, the primary is well, and yet nothing comes for a long time. */
function starved(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const sinceMs = Math.max(view.local.streamedAtMs[view.self] ?? 0, view.local.seen.ruleAtMs, view.local.startedAtMs);
  if (nowMs - sinceMs < STARVED_TIMEOUTS * view.config.replicaTimeoutMs || !repairDue(view, nowMs)) return repairAlarm(view);
  return [
    clone(view, rule.primary, `Nothing was streamed for ${Math.round(nowMs - sinceMs)} ms: the primary has no longer what it needs.`),
    ...repairAlarm(view),
  ];
}

/** A cascading replica is to spare the primary, and the link to it, the copy, too. When its upstream has failed to give one, the primary does. */
function firstCopy(view: View, rule: Rule, nowMs: number): Decision {
  const upstream = view.local.repair.attempts < UPSTREAM_COPIES ? copySourceOf(view, rule, nowMs) : null;
  return clone(view, upstream ?? rule.primary, 'It has no data yet.');
}

export function clone(view: View, from: MemberId, why: string): Decision {
  const spec = view.state.members[from];
  const { attempts } = view.local.repair;
  return decision({ kind: 'clone', from, host: spec?.host ?? '', port: spec?.port ?? 0 }, `Clone from ${from}. ${why}`, { attempts });
}

export function repairAlarm(view: View): readonly Decision[] {
  const { attempts } = view.local.repair;
  return attempts >= view.config.repairAttempts ? [alarm('repair-failed', { attempts })] : [];
}
