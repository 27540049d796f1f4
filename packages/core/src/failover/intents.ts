import type { Intent, MemberId, PrimaryServer, Rule } from '../cluster/index.ts';
import { lagBytes } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { streamingMembers } from './cohort.ts';
import { changeStore, couldReplace, decision, isLive, isMyTurn, liveCandidates, mayLead, wishedLeader } from './facts.ts';
import { servePrimaryRestart } from './restart-order.ts';
import { raiseTerm } from './triggers.ts';
import type { View } from './view.ts';
import { countedByZone } from './zones.ts';

/** A switchover target further behind than this is refused: the clients would wait for it. */
const SWITCHOVER_LAG_BYTES = 16 * 1024 * 1024;

/** Takes an operator's wish off the list, with the reason; nobody was touched. */
export function dropIntent(view: View, reason: string): Decision {
  const { intent } = view.state;
  return changeStore({ ...view.state, intent: null }, reason, { intent: intent?.kind ?? null, to: wishedLeader(intent) });
}

/** What the primary's own agent does about a wish while it leads. */
export function serveIntent(view: View, rule: Rule, server: PrimaryServer, nowMs: number): readonly Decision[] {
  const { intent } = view.state;
  if (intent === null) return [];
  if (intent.fromTerm < rule.term)
    return [dropIntent(view, `The ${intent.kind} was asked for in term ${intent.fromTerm}, and term ${rule.term} rules by now.`)];
  switch (intent.kind) {
    case 'switchover':
      return switchover(view, rule, server, intent, nowMs);
    case 'failover':
      return failover(view, rule, intent, nowMs);
    case 'restart':
      return servePrimaryRestart(view, intent, nowMs);
    default:
      // An order of a later release: a member that knows it carries it out.
      intent satisfies never;
      return [];
  }
}

type SwitchoverIntent = Extract<Intent, { kind: 'switchover' }>;

function switchover(view: View, rule: Rule, server: PrimaryServer, intent: SwitchoverIntent, nowMs: number): readonly Decision[] {
  const target = intent.to ?? bestTarget(view, rule, server, nowMs);
  const refusal = target === null ? 'no replica may take over now' : refusalOf(view, rule, server, target, nowMs);
  if (target === null || refusal !== null) return [dropIntent(view, `Switchover refused: ${refusal}. Nothing was changed.`)];
  const waitedMs = nowMs - view.local.seen.intentAtMs;
  const { drainTimeoutMs } = view.config;
  if (!view.local.routersDrained && waitedMs < drainTimeoutMs) return [];
  const reason = `Switchover to ${target}: ${view.local.routersDrained ? 'no transaction is open any more' : 'open transactions have had their time'}; shut down cleanly.`;
  return [decision({ kind: 'shutdown', deadlineMs: drainTimeoutMs }, reason, { target, waitedMs: Math.round(waitedMs) })];
}

/** Why this member cannot take over without a wait or a loss; null when it can. */
function refusalOf(view: View, rule: Rule, server: PrimaryServer, target: MemberId, nowMs: number): string | null {
  const spec = view.state.members[target];
  if (spec === undefined) return `there is no member ${target}`;
  if (target === rule.primary) return `${target} is the primary already`;
  if (spec.applyDelayMs > 0) return `${target} is a delayed replica`;
  if (!mayLead(spec)) return `${target} is marked ${spec.nofailover ? 'nofailover' : 'leaving'}`;
  if (!isLive(view, target, nowMs)) return `${target} does not answer`;
  const sender = streamingMembers(server, rule).get(target);
  if (sender === undefined) return `${target} does not stream from the primary`;
  const behind = lagBytes(server.flushLsn, sender.flushLsn ?? 0n);
  if (behind > SWITCHOVER_LAG_BYTES) return `${target} is ${behind} bytes behind`;
  // One that stands in the primary's own zone does not count, and may lead for all that: it gets the last record of a primary that shuts down.
  const counts = countedByZone(view.state, rule.primary, [...rule.cohort, target]).includes(target);
  if (rule.acks > 0 && counts && !rule.cohort.includes(target)) return `${target} is not in the cohort`;
  return null;
}

function bestTarget(view: View, rule: Rule, server: PrimaryServer, nowMs: number): MemberId | null {
  const fit = Object.values(view.state.members).filter(spec => refusalOf(view, rule, server, spec.id, nowMs) === null);
  return fit.toSorted((a, b) => b.priority - a.priority || (a.id < b.id ? -1 : 1))[0]?.id ?? null;
}

/** A primary that was shut down for a switchover hands over; the election sees to it that the winner holds its last record. */
export function handOver(view: View, rule: Rule, nowMs: number): Decision | null {
  const { intent } = view.state;
  if (intent?.kind !== 'switchover' || intent.fromTerm !== rule.term) return null;
  const target = intent.to ?? liveCandidates(view, rule, nowMs)[0];
  if (target === undefined || !liveCandidates(view, rule, nowMs).includes(target))
    return dropIntent(view, `Switchover given up: ${target ?? 'no replica'} does not answer any more.`);
  return raiseTerm(view, 'switchover', 0, `Switchover to ${target}: the primary is shut down.`);
}

/** A failover by order raises the term at once, if anybody could win. Any agent may do it. */
export function failover(view: View, rule: Rule, intent: Intent, nowMs: number): readonly Decision[] {
  if (intent.kind !== 'failover' || intent.fromTerm !== rule.term) return [];
  if (!isMyTurn(view, view.local.seen.intentAtMs, nowMs)) return [];
  const others = liveCandidates(view, rule, nowMs).filter(id => mayLead(view.state.members[id]));
  const possible = intent.acceptDataLoss ? others.length > 0 : couldReplace(view, rule, nowMs);
  if (!possible) {
    const advice = intent.acceptDataLoss
      ? 'no other member is ready to lead'
      : 'too few members answer to be sure of every commit (see --accept-data-loss)';
    return [dropIntent(view, `Failover refused: ${advice}. Nothing was changed.`)];
  }
  return [raiseTerm(view, 'operator', 0, `The operator orders a failover${intent.acceptDataLoss ? ' and accepts the loss of data' : ''}.`)];
}
