import { type MemberId, UnderstudyError } from '@understudy/core/cluster';
import { errorAnswer } from './errors.ts';
import type { OperationRequest } from './facade.ts';
import type { MemberStatus, PlanAnswer, StatusDocument } from './types.ts';

/** The operations whose outcome can be told before. */
export type PlannedRequest = Extract<OperationRequest, { kind: 'switchover' | 'failover' | 'remove-replica' }>;

/** What the operation would do to the cluster as it is now, and why it would be refused. Touches nothing. */
export function planOperation(status: StatusDocument, request: PlannedRequest): PlanAnswer {
  try {
    const { member, steps } = planned(status, request);
    return { allowed: true, member: member?.id ?? null, steps, refusal: null };
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return { allowed: false, member: null, steps: [], refusal: errorAnswer(error).error };
  }
}

interface Planned {
  readonly member: MemberStatus | null;
  readonly steps: readonly string[];
}

function planned(status: StatusDocument, request: PlannedRequest): Planned {
  switch (request.kind) {
    case 'switchover':
      return planSwitchover(status, request.to);
    case 'failover':
      return planFailover(status, request.to, request.acceptDataLoss);
    case 'remove-replica':
      return planRemoval(status, request.id);
    default:
      return request satisfies never;
  }
}

function planSwitchover(status: StatusDocument, to: MemberId | null): Planned {
  if (status.paused) throw new UnderstudyError('cluster-paused');
  if (status.primary === null || status.verdict === 'no-primary') throw new UnderstudyError('no-primary', { why: status.summary });
  const target = to === null ? best(replicas(status)) : memberOf(status, to);
  if (target === null) throw new UnderstudyError('intent-refused', { why: 'No replica is running, so there is nobody to switch to.' });
  if (target.id === status.primary) throw new UnderstudyError('intent-refused', { why: `${target.id} is the primary already.` });
  if (target.role !== 'replica' || target.state !== 'running') {
    throw new UnderstudyError('intent-refused', { why: `${target.id} cannot lead: it is ${target.detail ?? target.state}.` });
  }
  return {
    member: target,
    steps: [
      'The router holds new statements; open transactions may end.',
      `${status.primary} shuts down cleanly, and ${target.id} proves that it has all of its WAL (it is ${target.lagBytes ?? 'an unknown number of'} bytes behind now).`,
      `${target.id} is promoted in term ${status.term + 1}; the others follow it.`,
      `The router goes on with ${target.id}; ${status.primary} comes back as a replica.`,
    ],
  };
}

function planFailover(status: StatusDocument, to: MemberId | null, acceptDataLoss: boolean): Planned {
  const candidates = replicas(status);
  const target = to === null ? best(candidates) : memberOf(status, to);
  if (target === null) throw new UnderstudyError('no-primary', { why: 'no replica is running that could lead' });
  if (target.role === 'primary') throw new UnderstudyError('intent-refused', { why: `${target.id} is the primary already.` });
  const { cohort, acks } = status.durability;
  const reachable = candidates.filter(member => cohort.includes(member.id));
  const safe = acks > 0 && reachable.length >= cohort.length - acks + 1;
  if (!safe && !acceptDataLoss) {
    const missing = cohort.filter(id => !reachable.some(member => member.id === id)).join(', ') || (status.primary ?? 'the old primary');
    throw new UnderstudyError('would-lose-data', { why: 'too few replicas that acknowledge commits are running', missing });
  }
  return {
    member: target,
    steps: [
      ...(status.primary === null
        ? []
        : [`${status.primary} is fenced: its PostgreSQL is killed, and its open transactions are rolled back.`]),
      safe
        ? `The most advanced of ${reachable.map(member => member.id).join(', ')} is promoted in term ${status.term + 1}; no acknowledged write is lost.`
        : `${target.id} is promoted in term ${status.term + 1}; writes that only the old primary holds are LOST.`,
    ],
  };
}

function planRemoval(status: StatusDocument, id: MemberId): Planned {
  const member = memberOf(status, id);
  if (member.id === status.primary) throw new UnderstudyError('remove-primary', { id });
  const left = replicas(status).filter(replica => replica.id !== id);
  const protectedAfter = left.length >= Math.max(1, status.durability.acks);
  return {
    member,
    steps: [
      `${id} leaves the cohort, takes no more reads, is stopped, and its data is deleted.`,
      ...(protectedAfter || status.durability.mode === 'async'
        ? []
        : ['WRITES WILL NOT BE PROTECTED: too few replicas are left to acknowledge them.']),
    ],
  };
}

function memberOf(status: StatusDocument, id: MemberId): MemberStatus {
  const member = status.members.find(candidate => candidate.id === id);
  if (!member) throw new UnderstudyError('unknown-member', { id, members: status.members.map(each => each.id).join(', ') });
  return member;
}

function replicas(status: StatusDocument): readonly MemberStatus[] {
  return status.members.filter(member => member.role === 'replica' && member.state === 'running');
}

/** Cohort members first, then the least lag, then by name: what the election prefers, as far as it can be told from outside. */
function best(candidates: readonly MemberStatus[]): MemberStatus | null {
  const rank = (member: MemberStatus): number => (member.inCohort ? 0 : 1);
  const lag = (member: MemberStatus): number => member.lagBytes ?? Number.MAX_SAFE_INTEGER;
  return candidates.toSorted((a, b) => rank(a) - rank(b) || lag(a) - lag(b) || a.id.localeCompare(b.id))[0] ?? null;
}
