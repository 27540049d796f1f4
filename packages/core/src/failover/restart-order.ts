import type { Intent, Rule } from '../cluster/index.ts';
import { parseFollowName } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { changeStore, decision, isLive, reportOf, selfReport } from './facts.ts';
import type { View } from './view.ts';

type RestartIntent = Extract<Intent, { kind: 'restart' }>;

/** Heartbeats that routers get to take a replica out of their choice before it is restarted. */
const REPLICA_DRAIN_HEARTBEATS = 2;

/** What a primary that is open does about an order to restart a server: its own after a drain, as for a switchover; others see to theirs. */
export function servePrimaryRestart(view: View, intent: RestartIntent, nowMs: number): readonly Decision[] {
  if (intent.member !== view.self) {
    const spec = view.state.members[intent.member];
    return spec?.lifecycle === 'member' ? [] : [refuse(view, intent, `${intent.member} is no member any more`)];
  }
  const ended = endOrder(view, intent);
  if (ended !== null) return ended;
  const waitedMs = nowMs - view.local.seen.intentAtMs;
  const { drainTimeoutMs } = view.config;
  if (!view.local.routersDrained && waitedMs < drainTimeoutMs) return [];
  const reason = `Restart of the primary: ${view.local.routersDrained ? 'no transaction is open any more' : 'open transactions have had their time'}; shut down cleanly.`;
  return [decision({ kind: 'shutdown', deadlineMs: drainTimeoutMs }, reason, { waitedMs: Math.round(waitedMs) })];
}

/** The same of a replica, unless commits could then not be acknowledged. */
export function serveReplicaRestart(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const { intent } = view.state;
  const server = selfReport(view)?.server;
  if (intent?.kind !== 'restart' || intent.member !== view.self || intent.fromTerm !== rule.term || server?.kind !== 'replica') return [];
  const isBack = server.receiver?.streaming === true && parseFollowName(server.followsAs ?? '')?.term === rule.term;
  const ended = endOrder(view, intent);
  if (ended !== null) return isBack ? ended : [];
  if (!commitsGoOn(view, rule, nowMs))
    return [refuse(view, intent, `without ${view.self} fewer than ${rule.acks} replicas could acknowledge a commit`)];
  if (nowMs - view.local.seen.intentAtMs < REPLICA_DRAIN_HEARTBEATS * view.config.heartbeatMs) return [];
  return [decision({ kind: 'shutdown', deadlineMs: view.config.drainTimeoutMs }, 'Restart of this replica by order: shut down cleanly.')];
}

/** Null while the server that is to be replaced still runs; else the order is done, or it cannot be told yet. */
function endOrder(view: View, intent: RestartIntent): readonly Decision[] | null {
  const startedAtMs = selfReport(view)?.startedAtMs ?? null;
  if (startedAtMs === intent.startedAtMs) return null;
  if (startedAtMs === null) return [];
  return [
    changeStore({ ...view.state, intent: null }, `PostgreSQL of ${intent.member} was restarted.`, {
      member: intent.member,
      restarted: true,
    }),
  ];
}

function refuse(view: View, { member }: RestartIntent, why: string): Decision {
  return changeStore({ ...view.state, intent: null }, `Restart of ${member} refused: ${why}. Nothing was changed.`, {
    member,
    restarted: false,
  });
}

/** As many others of the cohort stream as a commit waits for. */
function commitsGoOn(view: View, rule: Rule, nowMs: number): boolean {
  if (rule.acks === 0 || !rule.cohort.includes(view.self)) return true;
  const streams = rule.cohort.filter(id => {
    const server = reportOf(view, id)?.server;
    return id !== view.self && isLive(view, id, nowMs) && server?.kind === 'replica' && server.receiver?.streaming === true;
  });
  return streams.length >= rule.acks;
}
