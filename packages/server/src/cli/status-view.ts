import { EXIT, type ExitCode, formatBytes, formatDuration } from '@understudy/core/cluster';
import type { MemberStatus, StatusDocument } from '../api/types.ts';
import { type Column, tableLines, wrap } from './table.ts';
import type { Colors } from './terminal.ts';

export interface ViewOptions {
  readonly columns: number;
  readonly colors: Colors;
}

/** How `status` exits. */
export function exitOfVerdict(verdict: StatusDocument['verdict']): ExitCode {
  switch (verdict) {
    case 'healthy':
      return EXIT.ok;
    case 'degraded':
      return EXIT.degraded;
    case 'no-primary':
      return EXIT.noPrimary;
    default:
      return verdict satisfies never;
  }
}

/** The status for a person: the verdict in one line, the tree of members, where to connect. Ends with a line break. */
export function renderStatus(status: StatusDocument, { columns, colors }: ViewOptions): string {
  const members = tableLines(treeOf(status), memberColumns(status, colors), columns);
  const [titles = '', ...rows] = members;
  const alarms = status.alarms.flatMap(({ member, message }) =>
    wrap(`${member}: ${message}`, columns - 7).map((line, i) => `${i === 0 ? '  alarm ' : '        '}${line}`),
  );
  const lines = [
    ...verdictLines(status, { columns, colors }),
    ...restartLines(status, columns).map(line => colors.yellow(line)),
    ...alarms.map(line => colors.red(line)),
    '',
    colors.dim(titles),
    ...rows,
    '',
    ...factLines(status, columns),
    ...places(status).map(([name, place]) => `${colors.dim(name.padEnd(10))}${place}`),
  ];
  return `${lines.join('\n')}\n`;
}

function verdictLines(status: StatusDocument, { columns, colors }: ViewOptions): readonly string[] {
  const word = status.verdict === 'no-primary' ? 'NO PRIMARY' : status.verdict.toUpperCase();
  const paint = { healthy: colors.green, degraded: colors.yellow, 'no-primary': colors.red }[status.verdict];
  const [first = '', ...more] = wrap(`${status.cluster} ${word} ${status.summary}`, columns);
  return [first.replace(word, colors.bold(paint(word))), ...more];
}

/** What waits for `understudy restart` or `understudy upgrade`. */
function restartLines({ members }: StatusDocument, columns: number): readonly string[] {
  const pending = members.flatMap(({ id, pendingRestart }) => (pendingRestart ? [`${id}: ${pendingRestart.join(', ')}`] : []));
  const outdated = members.flatMap(({ id, version, installedVersion }) =>
    installedVersion ? [`${id}: ${version} runs, ${installedVersion} is installed`] : [],
  );
  return [
    ...(pending.length > 0 ? wrap(`Settings wait for \`understudy restart\` (${pending.join('; ')}).`, columns) : []),
    ...(outdated.length > 0 ? wrap(`Another version waits for \`understudy upgrade\` (${outdated.join('; ')}).`, columns) : []),
  ];
}

interface TreeRow {
  readonly member: MemberStatus;
  readonly branch: string;
}

/** The primary first, and what streams from it below it. Without a primary all stand side by side. */
function treeOf(status: StatusDocument): readonly TreeRow[] {
  const primary = status.members.find(member => member.id === status.primary || member.standbyLeader);
  const others = status.members.filter(member => member !== primary);
  if (!primary) return others.map(member => ({ member, branch: '' }));
  return [{ member: primary, branch: '' }, ...rowsBelow(primary.id, others, '')];
}

/** Who streams from that member, each with those that stream from it in turn. */
function rowsBelow(parent: string, members: readonly MemberStatus[], indent: string): readonly TreeRow[] {
  const children = members.filter(member => parentOf(member, members) === parent || (indent === '' && parentOf(member, members) === null));
  return children.flatMap((member, i) => {
    const [branch, more] = i === children.length - 1 ? ['└─ ', '   '] : ['├─ ', '│  '];
    return [{ member, branch: indent + branch }, ...rowsBelow(member.id, members, indent + more)];
  });
}

/** The replica that it streams from; null where that is the primary, or nobody, or a circle by reports that have met. */
function parentOf(member: MemberStatus, members: readonly MemberStatus[]): string | null {
  const fromOf = (id: string | null | undefined): string | null => members.find(each => each.id === id)?.cascade?.from ?? null;
  const passed = new Set<string>();
  for (let from = fromOf(member.id); from !== null; from = fromOf(from)) {
    if (from === member.id || passed.has(from)) return null;
    passed.add(from);
  }
  const from = fromOf(member.id);
  return members.some(({ id }) => id === from) ? from : null;
}

function memberColumns(status: StatusDocument, colors: Colors): readonly Column<TreeRow>[] {
  const allReads = Object.values(status.router.reads).reduce((sum, count) => sum + count, 0);
  const share = (id: string): string => (allReads === 0 ? '-' : `${Math.round(((status.router.reads[id] ?? 0) / allReads) * 100)} %`);
  const column = (title: string, align: 'left' | 'right', rank: number, cell: (member: MemberStatus) => string): Column<TreeRow> => ({
    title,
    align,
    rank,
    cell: ({ member }) => cell(member),
  });
  return [
    { title: 'MEMBER', align: 'left', rank: 0, cell: ({ member, branch }) => branch + member.id, paint: (_, text) => colors.bold(text) },
    {
      ...column('ROLE', 'left', 0, member => (member.standbyLeader ? 'standby leader' : member.role === 'none' ? '-' : member.role)),
      paint: ({ member }, text) => (member.role === 'primary' || member.standbyLeader ? colors.cyan(text) : text),
    },
    { ...column('STATE', 'left', 0, stateText), paint: ({ member }, text) => paintState(member, colors)(text) },
    column('ADDRESS', 'left', 6, member => `${member.host}:${member.port}`),
    column('PID', 'right', 7, member => String(member.postmasterPid ?? '-')),
    column('TL', 'right', 3, member => String(member.timeline ?? '-')),
    column('RECEIVED', 'right', 5, member => member.receiveLsn ?? '-'),
    column('REPLAYED', 'right', 4, member => member.replayLsn ?? '-'),
    column('LAG', 'right', 0, member => lagText(status, member, member.lagBytes, formatBytes)),
    column('LAG MS', 'right', 0, member => lagText(status, member, member.lagMs, ms => String(Math.round(ms)))),
    column('ACKS', 'left', 2, member => (member.inCohort ? 'yes' : member.id === status.primary ? '-' : 'no')),
    column('READS', 'right', 1, member => share(member.id)),
  ];
}

function lagText(status: StatusDocument, member: MemberStatus, value: number | null, format: (value: number) => string): string {
  return value === null || member.id === status.primary ? '-' : format(value);
}

function stateText({ state, detail, applyDelayMs, cascade }: MemberStatus): string {
  const delay = applyDelayMs === undefined ? '' : `, ${formatDuration(applyDelayMs)} delayed`;
  const elsewhere =
    cascade?.from != null && cascade.from !== cascade.upstream ? `, from ${cascade.from} instead of ${cascade.upstream}` : '';
  return `${plainState(state, detail)}${delay}${elsewhere}`;
}

function plainState(state: string, detail: string | null): string {
  return detail === null || detail === state ? state : detail.startsWith(state) ? detail : `${state} (${detail})`;
}

function paintState(member: MemberStatus, colors: Colors): (text: string) => string {
  switch (member.state) {
    case 'running':
      return colors.green;
    case 'starting':
    case 'cloning':
    case 'rewinding':
      return colors.yellow;
    case 'stopped':
    case 'unreachable':
    case 'failed':
      return colors.red;
    default:
      return member.state satisfies never;
  }
}

/** Breaks between facts only. */
function factLines({ router, durability, paused, term, standby }: StatusDocument, columns: number): readonly string[] {
  const reads = Object.values(router.reads).reduce((sum, count) => sum + count, 0);
  const parts = [
    `term ${term}`,
    ...(standby ? standbyFacts(standby) : [acknowledgement(durability), durability.protected ? 'protected' : 'NOT PROTECTED']),
    ...(paused ? ['PAUSED'] : []),
    `${router.clients} clients`,
    `${reads} reads`,
    `${router.writes} writes`,
    `${router.held} held`,
  ];
  const unbroken = parts.map(part => part.replaceAll(' ', '\u00a0')).join(' · ');
  return wrap(unbroken, columns).map(line => line.replaceAll('\u00a0', ' '));
}

function standbyFacts({ source, sourceSeenMs, lastCommitAtMs }: NonNullable<StatusDocument['standby']>): readonly string[] {
  return [
    `standby of ${source}`,
    sourceSeenMs === null ? 'source never seen' : `source seen ${formatDuration(Math.round(sourceSeenMs / 1000) * 1000)} ago`,
    ...(lastCommitAtMs === null ? [] : [`last commit ${new Date(lastCommitAtMs).toISOString()}`]),
  ];
}

function acknowledgement({ mode, acks, cohort }: StatusDocument['durability']): string {
  if (mode === 'async') return 'async';
  return acks === 0 ? 'no replica must acknowledge' : `${acks} of ${cohort.join(', ')} must acknowledge`;
}

function places({ endpoints, dataDirectory }: StatusDocument): readonly (readonly [string, string])[] {
  return [
    ['connect', endpoints.router],
    ['dashboard', endpoints.http],
    ['data', dataDirectory],
  ];
}
