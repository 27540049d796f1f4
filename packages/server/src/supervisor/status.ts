import {
  type ClusterState,
  formatLsn,
  type Lsn,
  lagBytes,
  type MemberId,
  type MemberReport,
  type MemberSpec,
  type PrimaryServer,
  parseFollowName,
  parseStreamName,
  type ServerReport,
  type Settings,
} from '@understudy/core/cluster';
import { type AlarmCode, ALARMS, isToCount, isHoldingBack, majorOf } from '@understudy/core/failover';
import type { LagStages, MemberStatus, StageLag, StatusDocument } from '../api/types.ts';
import { lagMs, replayedOf, type StatusInputs } from './status-inputs.ts';
import { seenOfSource, standbyStatus, standbySummary, standbyVerdict } from './standby-status.ts';

export function statusDocument(inputs: StatusInputs): StatusDocument {
  const { state, topology } = inputs;
  const primaryId = topology.primary.kind === 'absent' ? null : topology.primary.server.id;
  const members = Object.values(state.members).map(spec => memberStatus(inputs, spec, primaryId));
  const isProtected = (state.rule?.acks ?? 0) > 0;
  const verdict = verdictOf(inputs, members);
  return {
    schema: 1,
    cluster: state.name,
    verdict,
    summary: summaryOf(inputs, verdict, members),
    term: state.rule?.term ?? 0,
    primary: primaryId,
    paused: state.paused !== null,
    durability: { mode: state.durability.mode, acks: state.rule?.acks ?? 0, cohort: state.rule?.cohort ?? [], protected: isProtected },
    endpoints: inputs.endpoints,
    members,
    router: inputs.router,
    ...(state.standby ? { standby: standbyStatus(inputs, state.standby) } : {}),
    alarms: members.flatMap(({ id }) =>
      (inputs.reports.get(id)?.report.alarms ?? []).map(code => ({ member: id, code, message: inputs.describeAlarm(code) })),
    ),
    supervisorPid: inputs.supervisorPid,
    dataDirectory: inputs.dataDirectory,
  };
}

function verdictOf(inputs: StatusInputs, members: readonly MemberStatus[]): StatusDocument['verdict'] {
  const { state, topology } = inputs;
  if (state.standby) return standbyVerdict(inputs, members);
  if (topology.primary.kind !== 'open' && topology.primary.kind !== 'draining') return 'no-primary';
  const wantsProtection = state.durability.mode === 'quorum' && members.length > 1;
  const complete = members.every(m => isWell(inputs, m));
  return complete && (!wantsProtection || (state.rule?.acks ?? 0) > 0) ? 'healthy' : 'degraded';
}

/** A replica that no commit waits for must at least stream: that it runs says nothing of whether anything reaches it. */
function isWell({ state, reports }: StatusInputs, member: MemberStatus): boolean {
  if (member.role === 'primary') return member.state === 'running';
  if (member.role !== 'replica' || member.state !== 'running') return false;
  const spec = state.members[member.id];
  if (spec && isToCount(state, state.rule, spec)) return member.inCohort;
  const server = reports.get(member.id)?.report.server;
  return server?.kind === 'replica' && (server.receiver?.streaming === true || (server.followsAs !== null && isHoldingBack(spec, server)));
}

function summaryOf(inputs: StatusInputs, verdict: StatusDocument['verdict'], members: readonly MemberStatus[]): string {
  const { state, topology } = inputs;
  const paused = state.paused ? ' Paused: no automatic action is taken.' : '';
  if (state.standby) return `${standbySummary(inputs, state.standby, members)}${paused}`;
  if (topology.primary.kind === 'absent') return `No primary: ${topology.primary.reason}.${paused}`;
  const primary = topology.primary.server.id;
  if (topology.primary.kind === 'unconfirmed')
    return `No primary: ${primary} leads term ${topology.term} and waits for its replicas.${paused}`;
  const replicas = members.filter(m => m.role === 'replica' && m.state === 'running').length;
  const lead = `${primary} is the primary of term ${topology.term} with ${replicas} replica${replicas === 1 ? '' : 's'}`;
  if (verdict === 'healthy') return `${lead}; ${protectionOf(state)}.${paused}`;
  const troubles = members.filter(m => !isWell(inputs, m)).map(m => `${m.id} is ${m.detail ?? m.state}`);
  return `${lead}; ${[...troubles, protectionOf(state)].join('; ')}.${paused}`;
}

function protectionOf(state: ClusterState): string {
  const acks = state.rule?.acks ?? 0;
  if (acks > 0) return `every commit is on ${acks + 1} servers before it is acknowledged`;
  return state.durability.mode === 'async'
    ? 'commits are acknowledged before replicas have them (async)'
    : 'WRITES ARE NOT PROTECTED: no replica has to acknowledge them';
}

function memberStatus(inputs: StatusInputs, spec: MemberSpec, primaryId: MemberId | null): MemberStatus {
  const heard = inputs.reports.get(spec.id);
  const server = heard?.report.server;
  const away = !heard || heard.agentEnded || heard.ageMs > inputs.unreachableMs;
  const lag = lagOf(inputs, spec.id, server);
  const stages = away || server?.kind !== 'replica' ? null : stagesOf(inputs, spec.id);
  return {
    id: spec.id,
    role: away ? 'none' : spec.id === primaryId ? 'primary' : server?.kind === 'replica' ? 'replica' : 'none',
    state: away ? 'unreachable' : stateOf(heard.report),
    host: spec.host,
    port: spec.port,
    postmasterPid: heard?.report.postmasterPid ?? null,
    timeline: server && 'timeline' in server ? server.timeline : null,
    receiveLsn: textOf(server?.kind === 'replica' ? server.receiveLsn : server?.kind === 'primary' ? server.flushLsn : null),
    replayLsn: textOf(replayedOf(server)),
    lagBytes: lag?.bytes ?? null,
    lagMs: lag?.ms ?? null,
    ...(stages ? { lagStages: stages } : {}),
    ...(server?.kind === 'replica' && server.replayPaused ? { replayPaused: true as const } : {}),
    ...restartOf(heard?.report),
    ...(spec.applyDelayMs > 0 ? { applyDelayMs: spec.applyDelayMs } : {}),
    ...(spec.follows !== null && spec.id !== primaryId && !inputs.state.standby
      ? { cascade: { upstream: spec.follows, from: away ? null : streamsFrom(inputs, server) } }
      : {}),
    ...(inputs.state.standby && inputs.state.rule?.primary === spec.id ? { standbyLeader: true as const } : {}),
    inCohort: inputs.state.rule?.cohort.includes(spec.id) ?? false,
    detail: heard?.agentEnded ? 'without its agent, which is started again' : away ? 'not heard of' : detailOf(heard.report, spec),
    agentPid: inputs.agentPids.get(spec.id) ?? null,
  };
}

/** What runs, and what a restart would change. */
function restartOf(report: MemberReport | undefined): Pick<MemberStatus, 'version' | 'installedVersion' | 'pendingRestart'> {
  const { serverVersion = null, installedVersion = null, pendingRestart = [] } = report ?? {};
  return {
    ...(serverVersion === null ? {} : { version: versionText(serverVersion) }),
    ...(installedVersion === null || installedVersion === serverVersion ? {} : { installedVersion: versionText(installedVersion) }),
    ...(pendingRestart.length === 0 ? {} : { pendingRestart }),
  };
}

/** 180004 is 18.4. */
function versionText(version: number): string {
  return `${majorOf(version)}.${version % 10_000}`;
}

function streamsFrom({ state }: StatusInputs, server: ServerReport | undefined): MemberId | null {
  if (server?.kind !== 'replica' || !server.receiver?.streaming) return null;
  const name = parseFollowName(server.receiver.applicationName);
  if (name === null || name.upstream === 'source') return null;
  return name.upstream?.member ?? state.rule?.primary ?? null;
}

function lagOf(inputs: StatusInputs, id: MemberId, server: ServerReport | undefined): { bytes: number; ms: number } | null {
  const primary = inputs.state.standby ? (seenOfSource(inputs)?.lsn ?? null) : (primaryServer(inputs)?.flushLsn ?? null);
  const replayed = replayedOf(server);
  if (server?.kind === 'primary' && inputs.state.rule?.primary === id) return { bytes: 0, ms: 0 };
  if (primary === null || replayed === null) return null;
  return { bytes: lagBytes(primary, replayed), ms: lagMs(inputs, id, replayed) };
}

/** What the primary's walsender says of the replica. */
function stagesOf(inputs: StatusInputs, id: MemberId): LagStages | null {
  const primary = primaryServer(inputs);
  const sender = primary?.senders.find(({ applicationName }) => parseStreamName(applicationName)?.id === id);
  const speaker = inputs.state.rule?.primary;
  if (!primary || !sender || speaker === undefined) return null;
  const stage = (lsn: Lsn | null): StageLag | null =>
    lsn === null ? null : { bytes: lagBytes(primary.flushLsn, lsn), ms: lagMs(inputs, speaker, lsn) };
  return {
    sent: stage(sender.sentLsn),
    written: stage(sender.writeLsn),
    flushed: stage(sender.flushLsn),
    replayed: stage(sender.replayLsn),
  };
}

/** What the primary of the rule has said of itself last. */
function primaryServer({ state, reports }: StatusInputs): PrimaryServer | null {
  const server = state.rule ? reports.get(state.rule.primary)?.report.server : undefined;
  return server?.kind === 'primary' ? server : null;
}

function textOf(lsn: Lsn | null | undefined): string | null {
  return lsn === null || lsn === undefined ? null : formatLsn(lsn);
}

function stateOf(report: MemberReport): MemberStatus['state'] {
  switch (report.operation?.kind) {
    case 'cloning':
      return 'cloning';
    case 'rewinding':
      return 'rewinding';
    case 'initdb':
    case 'starting':
    case 'promoting':
      return 'starting';
    default:
  }
  switch (report.server.kind) {
    case 'primary':
    case 'replica':
      return 'running';
    case 'starting':
      return 'starting';
    case 'unresponsive':
    case 'failing':
      return 'failed';
    case 'stopped':
    case 'absent':
      return 'stopped';
    default:
      return report.server satisfies never;
  }
}

function detailOf(report: MemberReport, spec: MemberSpec): string | null {
  const { operation, server } = report;
  if (operation?.kind === 'cloning') {
    const done = megabytes(operation.bytesDone);
    return operation.bytesTotal ? `cloning, ${done} of ${megabytes(operation.bytesTotal)}` : `cloning, ${done}`;
  }
  if (operation) return operation.kind;
  switch (server.kind) {
    case 'unresponsive':
      return `not answering for ${Math.round(server.forMs / 100) / 10} s`;
    case 'failing':
      return server.fault === 'disk-full' ? 'out of disk space' : 'unable to write to its disk';
    case 'replica':
      if (server.replayPaused) return 'replay is paused by an operator';
      if (server.receiver?.streaming) return null;
      if (server.followsAs === null) return 'following nobody';
      return isHoldingBack(spec, server) ? null : 'not streaming';
    default:
      return server.kind === 'primary' ? null : server.kind;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MB`;
}

/** For how long a member may be silent. */
export function unreachableMs({ failover }: Settings): number {
  return Math.max(2000, failover.leaseMs * 2);
}

/** What an alarm means, and what to do about it. */
export function describeAlarm(code: string): string {
  const text = ALARMS[code as AlarmCode];
  return text ? `${text.sentence} ${text.remedy}` : code;
}
