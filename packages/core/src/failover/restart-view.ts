import type { ClusterState, MemberId, MemberReport, MemberSpec, Rule } from '../cluster/index.ts';
import { parseFollowName } from '../cluster/index.ts';
import { electionUnderWay, isForeign, leadingServer, mayLead, maySync } from './facts.ts';
import type { RestartCandidate, RestartView } from './rolling-restart.ts';

/** Which servers a rolling restart replaces. */
export type RestartScope =
  /** Those with settings that wait for a restart. */
  | { readonly kind: 'pending' }
  /** Those that run another minor version than is installed. */
  | { readonly kind: 'upgrade' }
  /** These lives of these servers: when each of their postmasters began. */
  | { readonly kind: 'lives'; readonly startedAtMs: Readonly<Record<MemberId, number>> };

/** A member's newest report, if it was heard of lately. */
export type HeardReports = ReadonlyMap<MemberId, MemberReport>;

/** What a rolling restart has before it. `reports`: of the members that were heard of lately. Pure. */
export function restartViewOf(state: ClusterState, reports: HeardReports, scope: RestartScope): RestartView {
  const { rule } = state;
  const specs = Object.values(state.members).filter(({ lifecycle }) => lifecycle === 'member');
  specs.sort((a, b) => b.priority - a.priority || (a.id < b.id ? -1 : 1));
  const openPrimary = rule !== null && isOpen(state, rule, reports.get(rule.primary)) ? rule.primary : null;
  return {
    primary: openPrimary,
    acks: rule?.acks ?? 0,
    protects: state.durability.mode === 'quorum',
    members: rule === null ? [] : specs.map(spec => candidateOf(state, rule, spec, reports, scope)),
  };
}

function isOpen(state: ClusterState, rule: Rule, report: MemberReport | undefined): boolean {
  return rule.established && !electionUnderWay(state) && report?.openTerm === rule.term && leadingServer(report, rule) !== null;
}

function candidateOf(state: ClusterState, rule: Rule, spec: MemberSpec, reports: HeardReports, scope: RestartScope): RestartCandidate {
  const report = reports.get(spec.id);
  const detail = report === undefined ? 'not heard of' : (unknownOf(scope, report) ?? troubleOf(state, rule, spec, report));
  return {
    id: spec.id,
    isDue: report !== undefined && isDue(scope, report),
    isWell: detail === null,
    detail,
    inCohort: rule.cohort.includes(spec.id),
    mayLead: mayLead(spec),
    limits: report?.limits ?? null,
    knowsLimits: hasReplayedStart(report, reports.get(rule.primary)),
  };
}

/** What its agent has not said yet, without which it cannot be told whether it is due. */
function unknownOf(scope: RestartScope, report: MemberReport): string | null {
  return scope.kind === 'pending' && report.pendingRestart === undefined ? 'not looked into yet' : null;
}

/** Null when the member does what it should. */
function troubleOf(state: ClusterState, rule: Rule, spec: MemberSpec, report: MemberReport): string | null {
  const { server } = report;
  if (isForeign(state, report)) return 'of another cluster';
  if (report.operation !== null && report.operation.kind !== 'reconfiguring') return report.operation.kind;
  if (spec.id === rule.primary) return isOpen(state, rule, report) ? null : 'not open yet';
  if (server.kind !== 'replica') return server.kind;
  const follows = server.followsAs === null ? null : parseFollowName(server.followsAs);
  if (follows?.term !== rule.term || !server.receiver?.streaming) return 'not streaming yet';
  const counts = state.durability.mode === 'async' || !maySync(spec) || rule.cohort.includes(spec.id);
  return counts ? null : 'not in the cohort yet';
}

function isDue(scope: RestartScope, report: MemberReport): boolean {
  switch (scope.kind) {
    case 'pending':
      return (report.pendingRestart ?? []).length > 0;
    case 'upgrade':
      return isOutdated(report);
    case 'lives':
      return scope.startedAtMs[report.id] !== undefined && scope.startedAtMs[report.id] === report.startedAtMs;
    default:
      return scope satisfies never;
  }
}

function isOutdated({ serverVersion, installedVersion = null }: MemberReport): boolean {
  return serverVersion !== null && installedVersion !== null && serverVersion !== installedVersion;
}

/** A replica is held to the limits that the primary noted in the WAL when it started, which was before it opened. */
function hasReplayedStart(replica: MemberReport | undefined, primary: MemberReport | undefined): boolean {
  if (replica?.server.kind !== 'replica') return true;
  const openLsn = primary?.openLsn ?? null;
  return openLsn === null || (replica.server.replayLsn !== null && replica.server.replayLsn >= openLsn);
}

/** PostgreSQL's major version of a server_version_num. */
export function majorOf(version: number): number {
  return Math.floor(version / 10_000);
}

/** The first member on which another major version is installed than runs: data of the one cannot be used by the other. Pure. */
export function majorDifference(
  reports: HeardReports,
): { readonly id: MemberId; readonly running: number; readonly installed: number } | null {
  for (const [id, { serverVersion, installedVersion = null }] of reports) {
    if (serverVersion === null || installedVersion === null) continue;
    const [running, installed] = [majorOf(serverVersion), majorOf(installedVersion)];
    if (running !== installed) return { id, running, installed };
  }
  return null;
}
