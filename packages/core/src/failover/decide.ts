import type { Rule } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { bootstrap } from './bootstrap.ts';
import { takePartInElection } from './elect.ts';
import { decision, electionUnderWay, isForeign, isLive, leadingServer, selfReport } from './facts.ts';
import { follow } from './follow.ts';
import { dropIntent, failover } from './intents.ts';
import { lead } from './lead.ts';
import { obligations } from './obligations.ts';
import { release } from './release.ts';
import { serveReplicaRestart } from './restart-order.ts';
import { becomePrimary } from './restart.ts';
import { keepSlots } from './slots.ts';
import { bootstrapStandby } from './standby/bootstrap.ts';
import { decideStandby } from './standby/decide.ts';
import { watchPrimary } from './triggers.ts';
import type { View } from './view.ts';

/**
 * What this member should do next, from any state: a pure function of the view and the monotonic clock. The agent performs the
 * first decision that is not under way already, then observes and asks again. Alarms are not performed: they stand as long as they
 * are returned.
 *
 * Every agent runs this for itself, and whatever several of them do at once is settled by compare-and-swap in the store.
 */
export function decide(view: View, nowMs: number): readonly Decision[] {
  const report = selfReport(view);
  if (report === null) return [];
  if (isForeign(view.state, report)) return [alarm('foreign-data', { systemId: report.systemId, expected: view.state.systemId })];
  if (view.state.released !== undefined) return release(view, view.state.released);
  if (view.state.paused !== null) return paused(view);
  if (view.state.members[view.self] === undefined) return leave(view, 'It is not a member of this cluster.');
  const rule = view.state.rule;
  const isStandby = view.state.standby != null;
  if (rule === null) return view.local.busy ? [] : isStandby ? bootstrapStandby(view, nowMs) : bootstrap(view, nowMs);
  if (isStandby) return decideStandby(view, rule, nowMs);
  const duties = obligations(view, nowMs);
  if (view.local.busy) return duties;
  if (electionUnderWay(view.state)) return [...duties, ...takePartInElection(view, rule, nowMs)];
  if (duties.length > 0) return duties;
  return rule.primary === view.self ? asPrimary(view, rule, nowMs) : asReplica(view, rule, nowMs);
}

/**
 * Paused: nothing is done by itself, not even an election that has begun. It may stand still at any step: members that have
 * promised take no WAL from the old primary, so nothing can be acknowledged that a later election would miss. A wish of the operator is refused
 * rather than kept for a surprise at the end of the pause. The one exception: a primary of an older term that waits for no replica is fenced, since
 * two would acknowledge writes.
 */
function paused(view: View): readonly Decision[] {
  const { rule, intent } = view.state;
  const server = selfReport(view)?.server;
  if (rule !== null && rule.primary !== view.self && server?.kind === 'primary' && server.synchronousNames === '')
    return [decision({ kind: 'fence' }, `Member ${rule.primary} leads term ${rule.term}, and this primary waits for nobody.`)];
  if (intent === null || view.local.busy || rule === null) return [];
  return [dropIntent(view, `The ${intent.kind} is refused: the cluster is paused.`)];
}

function asPrimary(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const report = selfReport(view)!;
  const server = leadingServer(report, rule);
  if (server === null) return [...commanded(view, rule, nowMs), ...becomePrimary(view, rule, report.server, nowMs)];
  return [...lead(view, rule, server, nowMs), ...keepSlots(view, rule, nowMs)];
}

function asReplica(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const spec = view.state.members[view.self]!;
  if (spec.lifecycle === 'leaving' && rule.established && !rule.cohort.includes(view.self))
    return leave(view, 'It was asked to leave and no longer counts.');
  return [
    ...commanded(view, rule, nowMs),
    ...serveReplicaRestart(view, rule, nowMs),
    ...watchPrimary(view, rule, nowMs),
    ...follow(view, rule, nowMs),
    ...keepSlots(view, rule, nowMs),
  ];
}

/** A failover by order does not wait for the primary's agent. */
function commanded(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const { intent } = view.state;
  if (intent === null || intent.kind !== 'failover') return [];
  if (intent.fromTerm < rule.term && !isLive(view, rule.primary, nowMs)) return [];
  return failover(view, rule, intent, nowMs);
}

function leave(view: View, reason: string): readonly Decision[] {
  const kind = selfReport(view)?.server.kind;
  if (view.local.busy || kind === 'absent' || kind === 'stopped') return [];
  return [decision({ kind: 'leave' }, reason)];
}
