import { cascadeName, formatLsn, type ReplicaServer, type Rule, type WalPosition } from '../../cluster/index.ts';
import type { Decision } from '../action.ts';
import { alarm } from '../alarms.ts';
import { decision, isHoldingBack, isLive, repairDue, reportOf, selfReport } from '../facts.ts';
import { clone, followMember, repairAlarm, STARVED_TIMEOUTS } from '../follow.ts';
import type { View } from '../view.ts';
import { forkBefore } from './source.ts';
import { positionOf } from './succession.ts';

/** A member of a standby cluster that does not lead it: stream from the standby leader, which holds what the source has sent. */
export function followLeader(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const server = selfReport(view)?.server;
  const leader = isLive(view, rule.primary, nowMs) ? positionOf(reportOf(view, rule.primary)) : null;
  switch (server?.kind) {
    case 'absent':
      return leader !== null && repairDue(view, nowMs)
        ? [clone(view, rule.primary, 'It has no data yet.'), ...repairAlarm(view)]
        : repairAlarm(view);
    case 'stopped':
      return startFollower(view, rule, leader, nowMs);
    case 'replica':
      return streamFromLeader(view, rule, server, leader, nowMs);
    case 'failing':
      return [alarm('replica-failing', { fault: server.fault })];
    case undefined:
    case 'starting':
    case 'unresponsive':
    case 'primary':
      return [];
    default:
      return server satisfies never;
  }
}

function startFollower(view: View, rule: Rule, leader: WalPosition | null, nowMs: number): readonly Decision[] {
  const { attempts, fault } = view.local.repair;
  if (!repairDue(view, nowMs)) return repairAlarm(view);
  if (attempts >= 3 && leader !== null && fault === 'unknown')
    return [clone(view, rule.primary, `It did not start ${attempts} times.`), ...repairAlarm(view)];
  return [decision({ kind: 'start-isolated' }, 'Start as a replica to see where its WAL ends.', { attempts }), ...repairAlarm(view)];
}

function streamFromLeader(view: View, rule: Rule, server: ReplicaServer, leader: WalPosition | null, nowMs: number): readonly Decision[] {
  const applicationName = cascadeName(view.self, rule.term, rule.primary);
  if (server.followsAs !== null && server.followsAs !== applicationName)
    return [
      decision({ kind: 'isolate' }, `It follows as ${server.followsAs}, and ${rule.primary} is the standby leader of term ${rule.term}.`),
    ];
  if (server.receiver?.streaming || leader === null) return [];
  const source = { id: rule.primary, applicationName };
  const isAsked = server.followsAs !== null;
  const end = server.walEnd;
  const reason = `Follow ${rule.primary}, the standby leader of term ${rule.term}.`;
  if (end === null)
    return isAsked || !isHoldingBack(view.state.members[view.self], server) ? [] : followMember(view, rule, source, null, reason);
  const forkLsn = forkBefore(end, leader);
  if (forkLsn !== null) return rejoinLeader(view, rule, end, forkLsn, leader, nowMs);
  return isAsked ? starved(view, rule, end, leader, nowMs) : followMember(view, rule, source, end, reason);
}

/** The leader holds what the source has, which was seen just now: what lies past the fork is no part of that. */
function rejoinLeader(view: View, rule: Rule, end: WalPosition, fromLsn: bigint, leader: WalPosition, nowMs: number): readonly Decision[] {
  const spec = view.state.members[rule.primary];
  if (spec === undefined || !repairDue(view, nowMs)) return repairAlarm(view);
  const action = {
    kind: 'rejoin',
    primary: rule.primary,
    host: spec.host,
    port: spec.port,
    fromLsn,
    leaderHistory: leader.history,
  } as const;
  const reason = `Its WAL went past ${formatLsn(fromLsn)}, where the history of the source forked off: keep that aside, then rewind or clone.`;
  return [decision(action, reason, { fromLsn: formatLsn(fromLsn), walEnd: formatLsn(end.lsn) }), ...repairAlarm(view)];
}

/** It follows, the leader is ahead, and nothing comes for a long time: what it needs is gone there, since the leader was copied anew. */
function starved(view: View, rule: Rule, end: WalPosition, leader: WalPosition, nowMs: number): readonly Decision[] {
  const sinceMs = Math.max(view.local.streamedAtMs[view.self] ?? 0, view.local.seen.ruleAtMs, view.local.startedAtMs);
  const isBehind = leader.timeline > end.timeline || leader.lsn > end.lsn;
  if (!isBehind || nowMs - sinceMs < STARVED_TIMEOUTS * view.config.replicaTimeoutMs || !repairDue(view, nowMs)) return repairAlarm(view);
  const why = `Nothing was streamed for ${Math.round(nowMs - sinceMs)} ms: the standby leader has no longer what it needs.`;
  return [clone(view, rule.primary, why), ...repairAlarm(view)];
}
