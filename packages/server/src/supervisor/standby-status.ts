import { addressText, type Lsn, lagBytes, type MemberReport, type Rule, type StandbyOf, sourceText } from '@understudy/core/cluster';
import { type HeardReports, newestOfSource } from '@understudy/core/failover';
import type { LagClock } from '@understudy/core/routing';
import type { MemberStatus, StandbyStatus, StatusDocument } from '../api/types.ts';
import { lagMs, replayedOf, type StatusInputs } from './status-inputs.ts';

/** The furthest position of the source that any member tells of, and how long ago it was seen there. */
export function seenOfSource({ reports }: StatusInputs): { readonly lsn: Lsn; readonly ageMs: number } | null {
  const heard: HeardReports = new Map(
    [...reports].map(([id, { report, ageMs }]) => {
      const newest = report.source?.newest;
      return [id, newest ? { ...report, source: { ...report.source!, newest: { ...newest, ageMs: newest.ageMs + ageMs } } } : report];
    }),
  );
  return newestOfSource(heard);
}

export function standbyStatus(inputs: StatusInputs, { source }: StandbyOf): StandbyStatus {
  const leader = inputs.state.rule?.primary ?? null;
  const report = leader === null ? undefined : inputs.reports.get(leader)?.report;
  const at = streamsFrom(report);
  const role = report?.source?.servers.find(server => addressText(server) === at)?.role ?? null;
  const seen = seenOfSource(inputs);
  const replayed = replayedOf(report?.server);
  const isKnown = seen !== null && replayed !== null && leader !== null;
  return {
    source: sourceText(source),
    leader,
    streamsFrom: at,
    streamsFromRole: at === null ? null : role,
    lagBytes: isKnown ? lagBytes(seen.lsn, replayed) : null,
    lagMs: isKnown ? lagMs(inputs, leader, replayed) : null,
    sourceSeenMs: seen === null ? null : Math.max(0, Math.round(seen.ageMs)),
    lastCommitAtMs: report?.server.kind === 'replica' ? (report.server.replayedCommitAtMs ?? null) : null,
  };
}

function streamsFrom(report: MemberReport | undefined): string | null {
  const server = report?.server;
  if (server?.kind !== 'replica' || !server.receiver?.streaming || !server.followsAt) return null;
  return addressText(server.followsAt);
}

/** A standby cluster is well when its leader streams from the source, and all others from it. */
export function standbyVerdict({ reports }: StatusInputs, members: readonly MemberStatus[]): StatusDocument['verdict'] {
  const leader = members.find(({ standbyLeader }) => standbyLeader);
  if (!leader || leader.role !== 'replica' || leader.state !== 'running') return members.some(isReading) ? 'degraded' : 'no-primary';
  const streams = ({ id }: MemberStatus): boolean => {
    const server = reports.get(id)?.report.server;
    return server?.kind === 'replica' && server.receiver?.streaming === true;
  };
  return members.every(member => isReading(member) && streams(member)) ? 'healthy' : 'degraded';
}

/** All of it runs, and its leader only lacks the source: more does not come by waiting, and it may have to be promoted. */
export function isCutOffStandby({ standby, members, alarms }: StatusDocument): boolean {
  if (!standby || standby.streamsFrom !== null || !alarms.some(({ code }) => code === 'source-unreachable')) return false;
  return members.every(member => isReading(member) && (member.standbyLeader || member.detail === null));
}

function isReading({ role, state }: MemberStatus): boolean {
  return role === 'replica' && state === 'running';
}

export function standbySummary(inputs: StatusInputs, standby: StandbyOf, members: readonly MemberStatus[]): string {
  const { leader, streamsFrom: from, streamsFromRole, lagBytes: behind } = standbyStatus(inputs, standby);
  const source = sourceText(standby.source);
  if (leader === null) return `Standby of ${source}: the first copy of it is to be taken; writes are taken there.`;
  const state =
    from === null ? 'streams from nobody' : `streams from ${from}${streamsFromRole === null ? '' : `, a ${streamsFromRole} there`}`;
  const lag = behind === null ? '' : `, ${behind} bytes behind`;
  const troubles = members.filter(member => member.id !== leader && !(isReading(member) && member.detail === null));
  const told = troubles.map(({ id, detail, state: doing }) => `; ${id} is ${detail ?? doing}`).join('');
  return `Standby of ${source}: ${leader} leads it and ${state}${lag}; writes are taken there${told}.`;
}

/** Takes a sample of where the newest commits are, for lag in time: the primary's position, or that of a standby cluster's source. */
export function sampleLag(clock: LagClock, rule: Rule | null, { id, server, source }: MemberReport, nowMs: number): void {
  if (id !== rule?.primary) return;
  if (server.kind === 'primary') clock.sample(server.flushLsn, nowMs);
  else if (source?.newest) clock.sample(source.newest.lsn, nowMs - source.newest.ageMs);
}
