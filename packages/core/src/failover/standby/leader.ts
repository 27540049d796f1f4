import {
  addressText,
  formatLsn,
  type ReplicaServer,
  type Rule,
  type ServerReport,
  standbySlotName,
  standbyStreamName,
} from '../../cluster/index.ts';
import type { Decision } from '../action.ts';
import { alarm } from '../alarms.ts';
import { decision, isolatedWalEnd, repairDue } from '../facts.ts';
import { repairAlarm, STARVED_TIMEOUTS } from '../follow.ts';
import type { View } from '../view.ts';
import { chooseSource, forkBefore, isSameAddress, type SeenSource, type SourceFacts } from './source.ts';

/** The standby leader: stream from the source, by the gentlest way that leads there. */
export function followSource(view: View, rule: Rule, server: ServerReport, nowMs: number): readonly Decision[] {
  switch (server.kind) {
    case 'absent':
      return copyOr(view, null, 'It has no data yet.', nowMs);
    case 'stopped':
      return startLeader(view, nowMs);
    case 'replica':
      return streamFromSource(view, rule, server, nowMs);
    case 'failing':
      return [alarm('replica-failing', { fault: server.fault })];
    case 'starting':
    case 'unresponsive':
    case 'primary':
      return [];
    default:
      return server satisfies never;
  }
}

function startLeader(view: View, nowMs: number): readonly Decision[] {
  const { attempts, fault } = view.local.repair;
  if (!repairDue(view, nowMs)) return repairAlarm(view);
  if (attempts >= 3 && fault === 'unknown') return copyOr(view, null, `It did not start ${attempts} times.`, nowMs);
  return [decision({ kind: 'start-isolated' }, 'Start as a replica to see where its WAL ends.', { attempts }), ...repairAlarm(view)];
}

function streamFromSource(view: View, rule: Rule, server: ReplicaServer, nowMs: number): readonly Decision[] {
  const facts = view.local.source ?? null;
  const applicationName = standbyStreamName(view.self, rule.term);
  if (server.followsAs !== null && server.followsAs !== applicationName)
    return [decision({ kind: 'isolate' }, `It follows as ${server.followsAs}, and leads the standby cluster in term ${rule.term}.`)];
  if (facts === null) return [];
  const source = chooseSource(facts.servers, server.followsAt ?? null);
  if (source === null) return server.receiver?.streaming ? [] : [sourceAlarm(facts)];
  const at = addressText(source);
  if (server.followsAs !== null && !(server.followsAt && isSameAddress(server.followsAt, source)))
    return [decision({ kind: 'isolate' }, `The source is to be followed at ${at} now, a ${source.role} on timeline ${source.timeline}.`)];
  if (server.receiver?.streaming) return [];
  const end = server.walEnd;
  if (end === null) return [];
  const forkLsn = forkBefore(end, source);
  if (forkLsn !== null)
    return copyOr(view, forkLsn, `Its WAL went past ${formatLsn(forkLsn)}, where the history of the source forked off.`, nowMs);
  if (server.followsAs !== null) return unserved(view, server, source, nowMs);
  if (isolatedWalEnd(server) === null) return [];
  const inputs = { from: at, role: source.role, walEnd: formatLsn(end.lsn), timeline: end.timeline };
  const action = {
    kind: 'follow-source',
    host: source.host,
    port: source.port,
    source: view.state.standby!.source,
    applicationName,
    slot: standbySlotName(view.state.name),
  } as const;
  return [decision(action, `Follow the source at ${at}, a ${source.role} on timeline ${source.timeline}.`, inputs)];
}

/** It asks, the source answers others, and nothing comes. Only when its slot shows that the WAL is gone would a copy help. */
function unserved(view: View, server: ReplicaServer, source: SeenSource, nowMs: number): readonly Decision[] {
  const sinceMs = Math.max(view.local.streamedAtMs[view.self] ?? 0, view.local.seen.ruleAtMs, view.local.startedAtMs);
  const end = server.walEnd;
  if (end === null || source.lsn <= end.lsn || nowMs - sinceMs < STARVED_TIMEOUTS * view.config.replicaTimeoutMs) return repairAlarm(view);
  if (source.slotLsn === null || source.slotLsn <= end.lsn) return [alarm('source-silent', { source: addressText(source) })];
  return copyOr(view, null, `The source has no longer the WAL after ${formatLsn(end.lsn)}.`, nowMs);
}

/** A new copy of the source. What is here is kept until it is complete, and the other members go on with what they have. */
function copyOr(view: View, forkLsn: bigint | null, why: string, nowMs: number): readonly Decision[] {
  const facts = view.local.source ?? null;
  const source = facts === null ? null : chooseSource(facts.servers, null);
  if (facts === null || !repairDue(view, nowMs)) return repairAlarm(view);
  if (source === null) return [sourceAlarm(facts)];
  return [copySource(view, source, forkLsn, why), ...repairAlarm(view)];
}

export function copySource(view: View, source: SeenSource, forkLsn: bigint | null, why: string): Decision {
  const action = {
    kind: 'copy-source',
    host: source.host,
    port: source.port,
    source: view.state.standby!.source,
    slot: standbySlotName(view.state.name),
    forkLsn,
  } as const;
  return decision(action, `Copy the source at ${addressText(source)}. ${why}`, {
    from: addressText(source),
    forkLsn: forkLsn === null ? null : formatLsn(forkLsn),
    attempts: view.local.repair.attempts,
  });
}

/** Why no server of the source is of use. What does not fit is worse than what does not answer: nothing but a person changes it. */
export function sourceAlarm({ faults }: SourceFacts): Decision {
  const unfit = faults.find(({ code }) => code !== 'unreachable');
  const why = unfit ?? faults[0];
  return alarm(unfit ? 'source-unfit' : 'source-unreachable', { server: why ? addressText(why) : null, why: why?.why ?? null });
}
