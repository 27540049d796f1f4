import { formatDuration, type MemberId } from '@understudy/core/cluster';
import type { HealthAnswer, MemberStatus, StatusDocument } from './types.ts';

/** What a load balancer can ask; the names are those of Patroni's REST API, old ones included. */
export const HEALTH_CHECKS = {
  primary: 'primary',
  leader: 'primary',
  master: 'primary',
  'read-write': 'primary',
  replica: 'replica',
  'read-only': 'read-only',
  synchronous: 'synchronous',
  sync: 'synchronous',
  quorum: 'synchronous',
  asynchronous: 'asynchronous',
  async: 'asynchronous',
  'standby-leader': 'standby-leader',
  standby_leader: 'standby-leader',
  health: 'health',
  readiness: 'readiness',
  liveness: 'liveness',
} as const;

export type HealthPath = keyof typeof HEALTH_CHECKS;
type HealthKind = (typeof HEALTH_CHECKS)[HealthPath];

export interface HealthQuestion {
  readonly path: HealthPath;
  /** Null: is there any such member in the cluster? */
  readonly member: MemberId | null;
  /** A replica further behind than this does not count. */
  readonly maxLagBytes: number | null;
}

/** Answers from a status document; the status code is 200 or 503. */
export function checkHealth(status: StatusDocument, question: HealthQuestion): { readonly ok: boolean; readonly answer: HealthAnswer } {
  const kind = HEALTH_CHECKS[question.path];
  if (kind === 'liveness') return { ok: true, answer: describe(null, 'the supervisor answers') };
  const asked = question.member === null ? status.members : status.members.filter(member => member.id === question.member);
  const found = asked.find(member => satisfies(status, member, kind, question.maxLagBytes)) ?? null;
  if (found) return { ok: true, answer: describe(found, `${found.id} is ${found.role}, ${found.state}`) };
  const only = question.member === null ? null : (asked[0] ?? null);
  return { ok: false, answer: describe(only, only ? whyNot(status, only) : status.summary) };
}

function satisfies(
  status: StatusDocument,
  member: MemberStatus,
  kind: Exclude<HealthKind, 'liveness'>,
  maxLagBytes: number | null,
): boolean {
  if (member.state !== 'running') return false;
  const open = isOpenPrimary(status, member);
  // Whoever asks for a replica to read from does not mean one that shows the past on purpose.
  const replica = member.role === 'replica' && member.applyDelayMs === undefined && withinLag(member, maxLagBytes);
  switch (kind) {
    case 'primary':
      return open;
    case 'replica':
      return replica;
    case 'standby-leader':
      return member.standbyLeader === true;
    case 'read-only':
    case 'readiness':
      return open || replica;
    case 'synchronous':
      return replica && member.inCohort;
    case 'asynchronous':
      return replica && !member.inCohort;
    case 'health':
      return true;
    default:
      return kind satisfies never;
  }
}

/** Elected and confirmed: while a primary waits for its replicas the verdict is no-primary, and no write may be sent to it. */
function isOpenPrimary(status: StatusDocument, member: MemberStatus): boolean {
  return status.verdict !== 'no-primary' && member.role === 'primary' && member.id === status.primary;
}

function withinLag(member: MemberStatus, maxLagBytes: number | null): boolean {
  return maxLagBytes === null || (member.lagBytes !== null && member.lagBytes <= maxLagBytes);
}

function whyNot(status: StatusDocument, member: MemberStatus): string {
  const doing = member.detail ?? member.state;
  if (member.role === 'primary' && status.verdict === 'no-primary') return status.summary;
  if (member.applyDelayMs !== undefined) return `${member.id} is a delayed replica (${formatDuration(member.applyDelayMs)})`;
  const lag = member.lagBytes === null ? '' : `, ${member.lagBytes} bytes behind`;
  return `${member.id}: ${member.role === 'none' ? doing : `${member.role}, ${doing}${lag}`}`;
}

function describe(member: MemberStatus | null, message: string): HealthAnswer {
  return {
    member: member?.id ?? null,
    role: member?.role ?? null,
    state: member?.state ?? null,
    timeline: member?.timeline ?? null,
    lagBytes: member?.lagBytes ?? null,
    message,
  };
}
