import type { MemberId, PrimaryServer, ReplicationSender, Rule } from '../cluster/index.ts';
import { lagBytes, parseStreamName } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { nextCohortStep, sameSet } from './cohort-plan.ts';
import { changeStore, decision, isLive, maySync } from './facts.ts';
import { type AckSet, parseSynchronousNames, synchronousNames } from './synchronous-names.ts';
import type { View } from './view.ts';
import { countedByZone } from './zones.ts';

/** A replica joins the cohort when it is this close behind: further away it would only make commits wait. */
const JOIN_LAG_BYTES = 4 * 1024 * 1024;

/** Members that stream under the present term, with their senders. */
export function streamingMembers(server: PrimaryServer, rule: Rule): ReadonlyMap<MemberId, ReplicationSender> {
  const streaming = new Map<MemberId, ReplicationSender>();
  for (const sender of server.senders) {
    const name = parseStreamName(sender.applicationName);
    if (name !== null && name.term === rule.term && sender.state === 'streaming') streaming.set(name.id, sender);
  }
  return streaming;
}

/** How many of these members have flushed `lsn` of this primary's timeline. */
export function holdersOf(server: PrimaryServer, rule: Rule, cohort: readonly MemberId[], lsn: bigint): number {
  const streaming = streamingMembers(server, rule);
  return cohort.filter(id => (streaming.get(id)?.flushLsn ?? -1n) >= lsn).length;
}

/** Who should acknowledge: members of the cohort that are not away for too long, and those that stream closely behind. */
export function desiredSet(view: View, rule: Rule, server: PrimaryServer, nowMs: number): AckSet {
  const { durability, members } = view.state;
  if (durability.mode === 'async') return { cohort: [], acks: 0 };
  const streaming = streamingMembers(server, rule);
  const stays = (id: MemberId): boolean => {
    const streamedAtMs = Math.max(view.local.streamedAtMs[id] ?? 0, view.local.startedAtMs, view.local.seen.ruleAtMs);
    return nowMs - streamedAtMs <= view.config.replicaTimeoutMs;
  };
  const joins = (id: MemberId): boolean => {
    const flushLsn = streaming.get(id)?.flushLsn ?? null;
    return flushLsn !== null && isLive(view, id, nowMs) && lagBytes(server.flushLsn, flushLsn) <= JOIN_LAG_BYTES;
  };
  const able = Object.keys(members)
    .filter(id => id !== rule.primary && maySync(members[id]) && (rule.cohort.includes(id) ? stays(id) : joins(id)))
    .sort();
  const cohort = countedByZone(view.state, rule.primary, able);
  // Those that are away, not those that the operator took out: and they alone, where they alone stand in another zone.
  const counted = countedByZone(
    view.state,
    rule.primary,
    rule.cohort.filter(id => maySync(members[id])),
  );
  const isAlone = cohort.length === 0 || !countedByZone(view.state, rule.primary, [...cohort, ...counted]).some(id => cohort.includes(id));
  if (isAlone && durability.whenAlone === 'block') return { cohort: counted, acks: Math.min(rule.acks, counted.length) };
  return { cohort, acks: Math.min(durability.acks, cohort.length) };
}

/** One step of the cohort towards what it should be, in an order that is safe at each moment (nextCohortStep). */
export function keepCohort(view: View, rule: Rule, server: PrimaryServer, nowMs: number): readonly Decision[] {
  const inForce = parseSynchronousNames(server.synchronousNames, rule.term);
  const target = desiredSet(view, rule, server, nowMs);
  const inputs = { store: describe(rule), postgres: server.synchronousNames, target: describe(target) };
  if (inForce === null) return [setNames(rule, rule, 'The synchronous names are not those of this term.', inputs)];
  const blocked = rule.acks > 0 && rule.cohort.every(id => nowMs - (view.local.streamedAtMs[id] ?? 0) > view.config.replicaTimeoutMs);
  const alarms = blocked && sameSet(target, rule) ? [alarm('writes-blocked', { cohort: rule.cohort.join(',') })] : [];
  const step = nextCohortStep(rule, inForce, target);
  switch (step.kind) {
    case 'done':
      return alarms;
    case 'postgres':
      return [setNames(rule, step.set, `PostgreSQL is to wait for ${describe(step.set)}.`, inputs), ...alarms];
    case 'store': {
      if (!server.synchronousNamesInForce) return alarms;
      if (step.barrier && !barrierPassed(view, rule, server, inForce)) {
        const noted = view.local.namesInForceSince?.names === server.synchronousNames;
        return noted ? alarms : [setNames(rule, inForce, 'Find the position at which these names came into force.', inputs), ...alarms];
      }
      const next = { ...rule, cohort: step.set.cohort, acks: step.set.acks };
      return [changeStore({ ...view.state, rule: next }, `The cohort becomes ${describe(step.set)}.`, inputs), ...alarms];
    }
    default:
      return step satisfies never;
  }
}

/** Enough members of the new cohort hold all that the old one may have acknowledged. */
function barrierPassed(view: View, rule: Rule, server: PrimaryServer, inForce: AckSet): boolean {
  const since = view.local.namesInForceSince;
  if (since === null || since.names !== server.synchronousNames) return false;
  return holdersOf(server, rule, inForce.cohort, since.lsn) >= inForce.acks;
}

export function setNames(rule: Rule, set: AckSet, reason: string, inputs: Decision['inputs'] = {}): Decision {
  return decision({ kind: 'set-synchronous-names', synchronousNames: synchronousNames(set, rule.term) }, reason, inputs);
}

function describe(set: AckSet): string {
  return set.acks === 0 ? 'nobody' : `${set.acks} of ${set.cohort.join(', ')}`;
}
