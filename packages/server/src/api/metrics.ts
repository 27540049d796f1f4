import { lagBytes, parseLsn, type TermRecord } from '@understudy/core/cluster';
import type { RouterTraffic } from '@understudy/core/routing';
import { Registry } from 'prom-client';
import { Exposition } from './exposition.ts';
import { type FailoverMeter, phasesMs } from './failover-meter.ts';
import type { MemberStatus, StatusDocument } from './types.ts';

/** Members have one of these; each is a series of its own, so that a change of role is seen as such. */
const ROLES: readonly MemberStatus['role'][] = ['primary', 'replica', 'none'];
const VERDICTS: readonly StatusDocument['verdict'][] = ['healthy', 'degraded', 'no-primary'];
/** Told from the start, so that the first one that happens is an increase. */
const RETRY_CAUSES = ['25006', '40001', '57P01', 'lost', 'lane-lost', 'lane-shed', 'lane-too-large'];

export interface MetricsInputs {
  readonly status: StatusDocument;
  readonly history: readonly TermRecord[];
  readonly meter: FailoverMeter;
  readonly version: string;
}

/** Prometheus' text exposition of one status document and of what was counted. */
export async function metricsText({ status, history, meter, version }: MetricsInputs): Promise<string> {
  const to = new Exposition();
  clusterMetrics(to, status, version);
  memberMetrics(to, status);
  historyMetrics(to, history);
  meterMetrics(to, meter, history);
  routerMetrics(to, status);
  return await to.text();
}

export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

function clusterMetrics(to: Exposition, status: StatusDocument, version: string): void {
  to.set('info', { cluster: status.cluster, version }, 1);
  for (const verdict of VERDICTS) to.set('verdict', { verdict }, Number(verdict === status.verdict));
  to.set('term', {}, status.term);
  to.set('paused', {}, Number(status.paused));
  to.set('protected', {}, Number(status.durability.protected));
  to.set('acks', {}, status.durability.acks);
  to.set('alarms', {}, status.alarms.length);
  standbyMetrics(to, status);
}

function standbyMetrics(to: Exposition, { standby, members }: StatusDocument): void {
  to.set('standby', {}, Number(standby !== undefined));
  if (!standby) return;
  for (const { id, standbyLeader } of members) to.set('standby_leader', { member: id }, Number(standbyLeader === true));
  to.set('standby_streaming', {}, Number(standby.streamsFrom !== null));
  if (standby.lagBytes !== null) to.set('standby_lag_bytes', {}, standby.lagBytes);
  if (standby.sourceSeenMs !== null) to.set('standby_source_seen_seconds', {}, standby.sourceSeenMs / 1000);
  if (standby.lastCommitAtMs !== null) to.set('standby_last_commit_timestamp_seconds', {}, standby.lastCommitAtMs / 1000);
}

function memberMetrics(to: Exposition, status: StatusDocument): void {
  for (const member of status.members) {
    const labels = { member: member.id };
    to.set('member_up', labels, Number(member.state === 'running'));
    for (const role of ROLES) to.set('member_role', { ...labels, role }, Number(role === member.role));
    if (member.timeline !== null) to.set('member_timeline', labels, member.timeline);
    to.set('member_in_cohort', labels, Number(member.inCohort));
    to.set('member_replay_paused', labels, Number(member.replayPaused === true));
    const received = receiveLagBytes(status, member);
    if (received !== null) to.set('member_receive_lag_bytes', labels, received);
    if (member.lagBytes !== null) to.set('member_replay_lag_bytes', labels, member.lagBytes);
    if (member.applyDelayMs !== undefined) to.set('member_apply_delay_seconds', labels, member.applyDelayMs / 1000);
    if (member.lagMs !== null) to.set('member_replay_lag_seconds', labels, member.lagMs / 1000);
    for (const [stage, lag] of Object.entries(member.lagStages ?? {})) {
      if (lag === null) continue;
      to.set('member_stage_lag_bytes', { ...labels, stage }, lag.bytes);
      to.set('member_stage_lag_seconds', { ...labels, stage }, lag.ms / 1000);
    }
  }
}

/** Null when one of the two positions is not known. */
function receiveLagBytes(status: StatusDocument, member: MemberStatus): number | null {
  const flushed = status.members.find(({ id }) => id === status.primary)?.receiveLsn;
  return flushed && member.receiveLsn ? lagBytes(parseLsn(flushed), parseLsn(member.receiveLsn)) : null;
}

/** The last change of the primary, phase by phase. */
function historyMetrics(to: Exposition, history: readonly TermRecord[]): void {
  const terms = new Map<string, number>();
  for (const { trigger } of history) terms.set(trigger, (terms.get(trigger) ?? 0) + 1);
  for (const [trigger, count] of terms) to.set('recent_terms', { trigger }, count);
  const last = history.findLast(record => record.trigger !== 'bootstrap');
  if (!last) return;
  to.set('last_failover_timestamp_seconds', {}, last.raisedAtMs / 1000);
  to.set('last_failover_lost_bytes', {}, last.lostBytes);
  for (const [phase, lengthMs] of Object.entries(phasesMs(last))) {
    if (lengthMs !== null) to.set('last_failover_phase_seconds', { phase }, lengthMs / 1000);
  }
}

function meterMetrics(to: Exposition, meter: FailoverMeter, history: readonly TermRecord[]): void {
  meter.take(history);
  for (const [kind, count] of meter.events) to.count('events_total', { kind }, count);
  for (const [trigger, count] of meter.failovers) to.count('failovers_total', { trigger }, count);
  for (const [phase, histogram] of Object.entries(meter.phases)) to.histogram('failover_phase_seconds', { phase }, histogram);
}

function routerMetrics(to: Exposition, { router }: StatusDocument): void {
  // Where routers are machines of their own they have no process here: one that has said something is up.
  to.set('router_up', {}, Number(router.pid !== null || router.traffic !== undefined));
  to.set('router_clients', {}, router.clients);
  to.set('router_held', {}, router.held);
  to.count('router_writes_total', {}, router.writes);
  for (const [member, answered] of Object.entries(router.reads)) to.count('router_reads_total', { member }, answered);
  if (router.traffic) trafficMetrics(to, router.traffic);
}

function trafficMetrics(to: Exposition, traffic: RouterTraffic): void {
  const { sessions, prepared } = traffic;
  to.set('router_sessions', { state: 'active' }, sessions.active);
  to.set('router_sessions', { state: 'idle' }, sessions.idle);
  to.set('router_sessions', { state: 'in-transaction' }, sessions.inTransaction);
  to.set('router_pinned_sessions', {}, sessions.pinned);
  to.histogram('router_hold_seconds', {}, traffic.holds);
  for (const [cause, count] of Object.entries(traffic.holdFailures)) to.count('router_hold_failures_total', { cause }, count);
  for (const [member, answers] of Object.entries(traffic.answers)) to.histogram('router_answer_seconds', { member }, answers);
  for (const [reason, waits] of Object.entries(traffic.waits)) to.histogram('router_fresh_wait_seconds', { reason }, waits);
  for (const cause of RETRY_CAUSES) to.count('router_retries_total', { cause }, 0);
  for (const [cause, count] of Object.entries(traffic.retries)) to.count('router_retries_total', { cause }, count);
  to.count('router_lane_reads_total', {}, traffic.laneReads);
  to.set('router_lanes', {}, traffic.lanes);
  for (const { member, role, connections, idle, waiting } of traffic.pools) {
    to.set('router_pool_connections', { member, role, state: 'busy' }, connections - idle);
    to.set('router_pool_connections', { member, role, state: 'idle' }, idle);
    to.set('router_pool_waiting', { member, role }, waiting);
  }
  to.count('router_parses_total', { outcome: 'sent' }, prepared.sent);
  to.count('router_parses_total', { outcome: 'reused' }, prepared.reused);
  to.count('router_refused_logins_total', {}, traffic.refusedLogins);
  to.count('router_cancels_total', {}, traffic.cancels);
}
