import { lagBytes, parseLsn, type TermRecord } from '@understudy/core/cluster';
import { Counter, Gauge, Registry } from 'prom-client';
import type { MemberStatus, StatusDocument } from './types.ts';

/** Members have one of these; each is a series of its own, so that a change of role is seen as such. */
const ROLES: readonly MemberStatus['role'][] = ['primary', 'replica', 'none'];
const VERDICTS: readonly StatusDocument['verdict'][] = ['healthy', 'degraded', 'no-primary'];

/**
 * Prometheus' text exposition of one status document. Everything is drawn anew for each scrape, so nothing that has left the
 * cluster lingers. Totals come from counters of the router, which begin at 0 when it restarts, as Prometheus expects.
 */
export async function metricsText(status: StatusDocument, history: readonly TermRecord[], version: string): Promise<string> {
  const registry = new Registry();
  clusterMetrics(registry, status, version);
  memberMetrics(registry, status);
  routerMetrics(registry, status);
  historyMetrics(registry, history);
  return await registry.metrics();
}

export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

function gauge<L extends string>(registry: Registry, name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
  return new Gauge({ name: `understudy_${name}`, help, labelNames, registers: [registry] });
}

function clusterMetrics(registry: Registry, status: StatusDocument, version: string): void {
  gauge(registry, 'info', 'Version and name; always 1.', ['cluster', 'version']).set({ cluster: status.cluster, version }, 1);
  const verdict = gauge(registry, 'verdict', 'State of the cluster: 1 for the one that holds.', ['verdict']);
  for (const each of VERDICTS) verdict.set({ verdict: each }, Number(each === status.verdict));
  gauge(registry, 'term', 'Number of the present term; it grows with each change of the primary.').set(status.term);
  gauge(registry, 'paused', '1 while no automatic action is taken.').set(Number(status.paused));
  gauge(registry, 'protected', '1 while an acknowledged commit survives the loss of the primary.').set(Number(status.durability.protected));
  gauge(registry, 'acks', 'How many replicas must hold a commit before it is acknowledged.').set(status.durability.acks);
  gauge(registry, 'alarms', 'Human decisions that are waited for.').set(status.alarms.length);
}

function memberMetrics(registry: Registry, status: StatusDocument): void {
  const up = gauge(registry, 'member_up', '1 while PostgreSQL of the member runs and answers.', ['member']);
  const role = gauge(registry, 'member_role', '1 for the role that the member has.', ['member', 'role']);
  const timeline = gauge(registry, 'member_timeline', "PostgreSQL's timeline.", ['member']);
  const inCohort = gauge(registry, 'member_in_cohort', "1 while the member's acknowledgement counts.", ['member']);
  const notReceived = gauge(registry, 'member_receive_lag_bytes', 'WAL that the primary has flushed and the member has not received.', [
    'member',
  ]);
  const bytes = gauge(registry, 'member_replay_lag_bytes', 'WAL that the primary has flushed and the member has not replayed.', ['member']);
  const seconds = gauge(registry, 'member_replay_lag_seconds', 'Age of what a read on the member sees.', ['member']);
  const stageBytes = gauge(registry, 'member_stage_lag_bytes', 'WAL that has not come so far, as the primary sees it.', [
    'member',
    'stage',
  ]);
  const stageSeconds = gauge(registry, 'member_stage_lag_seconds', 'How long ago the primary was where the stage is now.', [
    'member',
    'stage',
  ]);
  const paused = gauge(registry, 'member_replay_paused', '1 while an operator has paused replay.', ['member']);
  for (const member of status.members) {
    const labels = { member: member.id };
    paused.set(labels, Number(member.replayPaused === true));
    for (const [stage, lag] of Object.entries(member.lagStages ?? {})) {
      if (lag === null) continue;
      stageBytes.set({ ...labels, stage }, lag.bytes);
      stageSeconds.set({ ...labels, stage }, lag.ms / 1000);
    }
    up.set(labels, Number(member.state === 'running'));
    for (const each of ROLES) role.set({ ...labels, role: each }, Number(each === member.role));
    if (member.timeline !== null) timeline.set(labels, member.timeline);
    inCohort.set(labels, Number(member.inCohort));
    const received = receiveLagBytes(status, member);
    if (received !== null) notReceived.set(labels, received);
    if (member.lagBytes !== null) bytes.set(labels, member.lagBytes);
    if (member.lagMs !== null) seconds.set(labels, member.lagMs / 1000);
  }
}

/** Null when one of the two positions is not known. */
function receiveLagBytes(status: StatusDocument, member: MemberStatus): number | null {
  const flushed = status.members.find(({ id }) => id === status.primary)?.receiveLsn;
  return flushed && member.receiveLsn ? lagBytes(parseLsn(flushed), parseLsn(member.receiveLsn)) : null;
}

function routerMetrics(registry: Registry, { router }: StatusDocument): void {
  gauge(registry, 'router_up', '1 while the router process runs.').set(Number(router.pid !== null));
  gauge(registry, 'router_clients', 'Client connections.').set(router.clients);
  gauge(registry, 'router_held', 'Statements that wait for a primary or a fresh replica now.').set(router.held);
  const total = (name: string, help: string, labelNames: readonly string[]): Counter =>
    new Counter({ name: `understudy_router_${name}_total`, help, labelNames, registers: [registry] });
  total('writes', 'Statements sent to the primary as writes.', []).inc(router.writes);
  const reads = total('reads', 'Reads answered by each member.', ['member']);
  for (const [member, answered] of Object.entries(router.reads)) reads.inc({ member }, answered);
}

/** The last change of the primary, phase by phase. */
function historyMetrics(registry: Registry, history: readonly TermRecord[]): void {
  const changes = gauge(registry, 'recent_terms', 'Terms in the history that is kept, by what began them.', ['trigger']);
  for (const record of history) changes.inc({ trigger: record.trigger });
  const last = history.findLast(record => record.trigger !== 'bootstrap');
  if (!last) return;
  gauge(registry, 'last_failover_timestamp_seconds', 'When the last change of the primary began.').set(last.raisedAtMs / 1000);
  gauge(registry, 'last_failover_lost_bytes', 'WAL of the old primary that the new one lacks; 0 in quorum.').set(last.lostBytes);
  const phase = gauge(registry, 'last_failover_phase_seconds', 'Length of each phase of the last change of the primary.', ['phase']);
  for (const [name, lengthMs] of Object.entries(phasesMs(last))) {
    if (lengthMs !== null) phase.set({ phase: name }, lengthMs / 1000);
  }
}

/** How long each phase of a change of the primary took; null until it has happened. */
export function phasesMs(record: TermRecord): Readonly<Record<'detect' | 'elect' | 'promote' | 'establish', number | null>> {
  const { detectMs, raisedAtMs, electedAtMs, promotedAtMs, establishedAtMs } = record;
  return {
    detect: detectMs,
    elect: Math.max(0, electedAtMs - raisedAtMs),
    promote: promotedAtMs === null ? null : Math.max(0, promotedAtMs - electedAtMs),
    establish: establishedAtMs === null || promotedAtMs === null ? null : Math.max(0, establishedAtMs - promotedAtMs),
  };
}
