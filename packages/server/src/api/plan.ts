import { formatDuration, type MemberId, REPLICAS_MAX, UnderstudyError } from '@understudy/core/cluster';
import { errorAnswer } from './errors.ts';
import type { PromotionWish, RestartStep } from '@understudy/core/failover';
import { gapSentence, lossSentences } from './promotion-words.ts';
import type { ClusterFacade, OperationRequest } from './facade.ts';
import type { MemberStatus, PlanAnswer, StatusDocument } from './types.ts';

/** What a cluster without a primary refuses. */
export const ABOUT_A_PRIMARY: ReadonlySet<OperationRequest['kind']> = new Set(['switchover', 'failover', 'restart', 'upgrade', 'move']);

/**
 * What the operation would do to the cluster as it is now, and why it would be refused. Touches nothing.
 * `newMembers`: whether a new one can be made on this machine, or a person starts it on another; `restartSteps`: what a rolling restart would do.
 */
export function planOperation(facade: PlanSources, request: OperationRequest): PlanAnswer {
  try {
    const { member, steps } = planned(facade, request);
    return { allowed: true, member, steps, refusal: null };
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return { allowed: false, member: null, steps: [], refusal: errorAnswer(error).error };
  }
}

type PlanSources = Pick<ClusterFacade, 'status' | 'newMembers' | 'restartSteps' | 'releaseRefusal' | 'promotion' | 'checkDemotion'>;

interface Planned {
  readonly member: MemberId | null;
  readonly steps: readonly string[];
}

function planned(facade: PlanSources, request: OperationRequest): Planned {
  const status = facade.status();
  if (status.standby && ABOUT_A_PRIMARY.has(request.kind))
    throw new UnderstudyError('standby-cluster', { source: status.standby.source, what: request.kind });
  switch (request.kind) {
    case 'switchover':
      return planSwitchover(status, request.to);
    case 'failover':
      return planFailover(status, request.to, request.acceptDataLoss);
    case 'remove-replica':
      return planRemoval(status, request.id);
    case 'add-replica':
      return planAddition(status, facade.newMembers, request);
    case 'pause':
      return { member: null, steps: planPause(status) };
    case 'resume':
      return { member: null, steps: planResume(status) };
    case 'restart':
    case 'upgrade':
      return { member: null, steps: facade.restartSteps(request).map(restartSentence) };
    case 'move':
      return planMove(facade, request.from, request.to);
    case 'release':
      return planRelease(facade);
    case 'promote':
      return planPromotion(facade, request);
    case 'demote':
      return planDemotion(facade, request.standbyOf);
    case 'shutdown':
      return { member: null, steps: planShutdown(status) };
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
  if (target.applyDelayMs !== undefined) throw new UnderstudyError('intent-refused', { why: `${target.id} is a delayed replica.` });
  if (target.role !== 'replica' || target.state !== 'running') {
    throw new UnderstudyError('intent-refused', { why: `${target.id} cannot lead: it is ${target.detail ?? target.state}.` });
  }
  return {
    member: target.id,
    steps: [
      'The router holds new statements; open transactions may end.',
      `${status.primary} shuts down cleanly, and ${target.id} proves that it has all of its WAL (it is ${target.lagBytes ?? 'an unknown number of'} bytes behind now).`,
      `${target.id} is promoted in term ${status.term + 1}; the others follow it.`,
      `The router goes on with ${target.id}; ${status.primary} comes back as a replica.`,
    ],
  };
}

function planFailover(status: StatusDocument, to: MemberId | null, acceptDataLoss: boolean): Planned {
  if (status.paused) throw new UnderstudyError('cluster-paused');
  const candidates = replicas(status);
  const target = to === null ? best(candidates) : memberOf(status, to);
  if (target === null) throw new UnderstudyError('no-primary', { why: 'no replica is running that could lead' });
  if (target.applyDelayMs !== undefined) throw new UnderstudyError('intent-refused', { why: `${target.id} is a delayed replica.` });
  if (target.role === 'primary') throw new UnderstudyError('intent-refused', { why: `${target.id} is the primary already.` });
  const { cohort, acks } = status.durability;
  const reachable = candidates.filter(member => cohort.includes(member.id));
  const safe = acks > 0 && reachable.length >= cohort.length - acks + 1;
  if (!safe && !acceptDataLoss) {
    const missing = cohort.filter(id => !reachable.some(member => member.id === id)).join(', ') || (status.primary ?? 'the old primary');
    throw new UnderstudyError('would-lose-data', { why: 'too few replicas that acknowledge commits are running', missing });
  }
  return {
    member: target.id,
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
  if (status.paused) throw new UnderstudyError('cluster-paused');
  const left = replicas(status).filter(replica => replica.id !== id);
  const protectedAfter = left.length >= Math.max(1, status.durability.acks);
  return {
    member: id,
    steps: [
      `${id} leaves the cohort, takes no more reads, is stopped, and its data is deleted.`,
      ...(protectedAfter || status.durability.mode === 'async'
        ? []
        : ['WRITES WILL NOT BE PROTECTED: too few replicas are left to acknowledge them.']),
    ],
  };
}

type Addition = Extract<OperationRequest, { kind: 'add-replica' }>;

function planAddition(status: StatusDocument, newMembers: 'here' | 'elsewhere', { applyDelayMs = 0, follows = null }: Addition): Planned {
  if (follows !== null) memberOf(status, follows);
  if (newMembers === 'elsewhere') throw new UnderstudyError('member-elsewhere');
  if (status.paused) throw new UnderstudyError('cluster-paused');
  if (status.members.length > REPLICAS_MAX) throw new UnderstudyError('too-many-members', { limit: REPLICAS_MAX + 1 });
  const upstream = follows ?? status.primary ?? 'the primary, once there is one,';
  const delay = applyDelayMs > 0 ? `, and shows each change ${formatDuration(applyDelayMs)} later` : '';
  return {
    member: null,
    steps: [
      'A new member gets a name, a directory and a port of its own on this machine.',
      `All data of ${upstream} is copied while it works, with the WAL of that time, and every file is checked. It needs as much disk space again.`,
      ...(delay === '' && follows === null
        ? [`It follows ${upstream}, and its acknowledgement counts as soon as it has caught up.`]
        : [`It follows ${upstream}${delay}. No commit waits for it.`]),
      delay === '' ? 'The router gives it reads, few at first.' : 'The router gives it no reads, and it is never made the primary.',
    ],
  };
}

function planPause(status: StatusDocument): readonly string[] {
  if (status.paused) return ['Nothing: the cluster is paused already.'];
  return [
    'Clients are served and WAL is replicated as before.',
    'Nothing is repaired any more: a primary that dies is not replaced, a member that stops stays stopped, until `understudy resume`.',
  ];
}

function planResume(status: StatusDocument): readonly string[] {
  if (!status.paused) return ['Nothing: the cluster is not paused.'];
  const unwell = status.members.filter(({ state, detail }) => state !== 'running' || detail !== null);
  return [
    'Automatic actions are taken again, at once.',
    ...unwell.map(({ id, state, detail }) => `${id} is ${detail ?? state}: it is seen to.`),
    ...(status.primary === null ? ['There is no primary: a replica is promoted if that is safe.'] : []),
  ];
}

function planMove(facade: PlanSources, from: MemberId, to: MemberId): Planned {
  const { members, primary } = facade.status();
  if (facade.newMembers === 'here') throw new UnderstudyError('no-other-machine', { id: from });
  const followers = members.flatMap(({ id, cascade }) => (cascade?.upstream === from && id !== to ? [id] : []));
  const steps = members.some(({ id }) => id === from)
    ? [
        `${to} is waited for until it has joined, has a copy of all data, and counts among those that acknowledge.`,
        ...(primary === from ? [`${to} becomes the primary; ${from} follows it.`] : []),
        `${from} leaves the cohort, is stopped, its data is deleted and its service ends.`,
        ...(followers.length > 0 ? [`${followers.join(', ')}, which streams from ${from}, streams from ${to}.`] : []),
      ]
    : [`Nothing: ${from} is no member any more.`];
  return { member: to, steps };
}

function planRelease(facade: PlanSources): Planned {
  const refusal = facade.releaseRefusal();
  if (refusal) throw refusal;
  const { primary, members } = facade.status();
  const others = members.filter(({ id }) => id !== primary).map(({ id }) => id);
  return {
    member: null,
    steps: [
      `The files of ${primary} become those of a plain primary; commits wait for no replica any more.`,
      ...(others.length === 0
        ? []
        : [`Those of ${others.join(', ')} become those of plain replicas, which stream on from where they do now.`]),
      'No server is restarted. Nobody takes over any more when the primary fails.',
      'The services of the members end; proxies have nobody to ask any more and hold what they are sent: stop them.',
    ],
  };
}

/** Throws `promotion-refused`. */
function planPromotion(facade: PlanSources, wish: PromotionWish): Planned {
  const { gap, loss } = facade.promotion(wish);
  const { standby, term } = facade.status();
  return {
    member: gap.leader,
    steps: [
      gapSentence(gap),
      ...lossSentences(loss, standby?.source ?? 'the source'),
      `The members stop taking WAL of the source, and ${gap.leader} is promoted in term ${term + 2}, onto a timeline of its own; the others follow it.`,
      'The router sends writes to it as soon as its replicas hold the beginning of that timeline.',
    ],
  };
}

/** Throws `demotion-refused`. */
function planDemotion(facade: PlanSources, standbyOf: string): Planned {
  facade.checkDemotion(standbyOf);
  const { primary } = facade.status();
  return {
    member: primary,
    steps: [
      'The source is asked whether it can be followed; if not, nothing is touched.',
      `The router refuses writes from then on; ${primary ?? 'the primary'} shuts down cleanly, and open transactions are rolled back.`,
      'The members follow the source as replicas. Writes that the source does not have are set aside, and their range is told, before a member is rewound or copied anew.',
    ],
  };
}

/** Throws `restart-refused`. */
function restartSentence(step: RestartStep): string {
  switch (step.kind) {
    case 'restart':
      return `${step.member} is shut down and started again, and waited for until it does its work.`;
    case 'switchover':
      return `${step.to} becomes the primary; ${step.from} is started anew as a replica, and waited for.`;
    case 'wait':
      return `It waits, since ${step.why}; then it is decided what comes next.`;
    case 'refused':
      throw new UnderstudyError('restart-refused', { why: step.why });
    case 'done':
      return 'No server waits for a restart any more.';
    default:
      return step satisfies never;
  }
}

function planShutdown({ primary, router }: StatusDocument): readonly string[] {
  return [
    `The router ends the sessions of ${router.clients} clients.`,
    `${primary ?? 'A primary, if there is one,'} shuts down cleanly, then the replicas, which so have all of its WAL.`,
    'All processes end; the data stays.',
  ];
}

function memberOf(status: StatusDocument, id: MemberId): MemberStatus {
  const member = status.members.find(candidate => candidate.id === id);
  if (!member) throw new UnderstudyError('unknown-member', { id, members: status.members.map(each => each.id).join(', ') });
  return member;
}

function replicas(status: StatusDocument): readonly MemberStatus[] {
  return status.members.filter(({ role, state, applyDelayMs }) => role === 'replica' && state === 'running' && applyDelayMs === undefined);
}

/** Cohort members first, then the least lag, then by name: what the election prefers, as far as it can be told from outside. */
function best(candidates: readonly MemberStatus[]): MemberStatus | null {
  const rank = (member: MemberStatus): number => (member.inCohort ? 0 : 1);
  const lag = (member: MemberStatus): number => member.lagBytes ?? Number.MAX_SAFE_INTEGER;
  return candidates.toSorted((a, b) => rank(a) - rank(b) || lag(a) - lag(b) || a.id.localeCompare(b.id))[0] ?? null;
}
