import { type MemberId, UnderstudyError } from '@understudy/core/cluster';
import type { OperationRequest, OperationResult } from '../../server/src/api/facade.ts';
import { planOperation } from '../../server/src/api/plan.ts';
import { type FakeCluster, healthyReplica } from './fake-cluster.ts';

/** FOR DEVELOPMENT ONLY: states of a made-up cluster. Each sets the cluster up; `story` goes on by itself. */
export const SCENARIOS = { healthy, lagging, degraded, unprotected, failover, paused, alone, five, topologies, story } as const;
export type ScenarioName = keyof typeof SCENARIOS;

function healthy(cluster: FakeCluster): void {
  cluster.emit('cluster-resumed', 'The supervisor took up 3 members of cluster main.', { agoMs: 640_000 });
  for (const member of ['n1', 'n2', 'n3'])
    cluster.emit('server-started', `${member} accepts connections after 310 ms.`, { member, agoMs: 639_500 });
  takeOver(cluster, 'n2', 'n1', 412_000, 2);
  cluster.emit('following', 'n2 streams from n1 as n2_t3.', { member: 'n2', agoMs: 410_900, inputs: { fromLsn: '3/3FFC60' } });
  cluster.emit('cohort-changed', 'The cohort is n2 and n3: both follow the primary of term 3.', { agoMs: 410_500 });
}

function lagging(cluster: FakeCluster): void {
  healthy(cluster);
  Object.assign(cluster.members.get('n3')!, { lagBytes: 48_234_496, lagMs: 2310, weight: 0.2 });
}

function degraded(cluster: FakeCluster): void {
  healthy(cluster);
  Object.assign(cluster.members.get('n2')!, { lagBytes: 18_432, lagMs: 14 });
  Object.assign(cluster.members.get('n3')!, {
    role: 'none',
    state: 'cloning',
    timeline: null,
    inCohort: false,
    detail: 'cloning, 412.6 MB of 982.0 MB',
  });
  cluster.emit('server-exited', 'PostgreSQL of n3 ended: signal SIGKILL.', {
    member: 'n3',
    agoMs: 14_000,
    inputs: { signal: 'SIGKILL', wasRole: 'replica' },
  });
  cluster.emit('cohort-changed', 'n3 has left the cohort: it was away for 10 s.', { member: 'n3', agoMs: 4000 });
  cluster.emit('clone-started', 'n3 takes a copy of n1: its WAL had diverged past 3/3FFC60.', { member: 'n3', agoMs: 2500 });
}

function unprotected(cluster: FakeCluster): void {
  healthy(cluster);
  for (const id of ['n2', 'n3'])
    Object.assign(cluster.members.get(id)!, { role: 'none', state: 'unreachable', inCohort: false, detail: 'not heard of' });
  cluster.emit('protection-lost', 'No replica is left: commits are acknowledged by n1 alone.', { member: 'n1', agoMs: 3000 });
}

function failover(cluster: FakeCluster): void {
  healthy(cluster);
  cluster.emit('server-exited', 'PostgreSQL of n1 ended: signal SIGKILL.', { member: 'n1', agoMs: 190, inputs: { signal: 'SIGKILL' } });
  cluster.emit('router-held', 'The router holds statements: there is no primary.', { agoMs: 187 });
  cluster.term = 4;
  cluster.primary = null;
  cluster.held = 37;
  Object.assign(cluster.members.get('n1')!, { role: 'none', state: 'stopped', detail: 'stopped', inCohort: false });
  cluster.emit('term-raised', "n2 raised term 4: n1's PostgreSQL has exited.", {
    member: 'n2',
    agoMs: 151,
    inputs: { trigger: 'primary-exited' },
  });
  cluster.emit('promised', 'n2 takes no more WAL from primaries before term 4.', { member: 'n2', agoMs: 136 });
  cluster.emit('promised', 'n3 takes no more WAL from primaries before term 4.', { member: 'n3', agoMs: 122 });
  cluster.emit('primary-elected', 'n3 leads term 4: it holds 3/40A2C8, 96 bytes more than n2.', { member: 'n3', agoMs: 98 });
}

function paused(cluster: FakeCluster): void {
  healthy(cluster);
  cluster.paused = true;
  cluster.alarms = [
    {
      member: 'n3',
      code: 'foreign-data',
      message: 'n3 holds data of another cluster. It is left alone; move it away to let n3 be cloned anew.',
    },
  ];
  Object.assign(cluster.members.get('n3')!, { role: 'none', state: 'stopped', inCohort: false, detail: 'stopped' });
}

function alone(cluster: FakeCluster): void {
  cluster.members.delete('n2');
  cluster.members.delete('n3');
  cluster.clients = 1;
}

function five(cluster: FakeCluster): void {
  cluster.members.set('n4', { ...healthyReplica(), lagBytes: 1200, lagMs: 3 });
  cluster.members.set('n10', { ...healthyReplica(), inCohort: false });
  healthy(cluster);
}

function topologies(cluster: FakeCluster): void {
  healthy(cluster);
  cluster.members.set('n4', { ...healthyReplica(), inCohort: false, cascade: { upstream: 'n2', from: 'n2' } });
  cluster.members.set('n5', {
    ...healthyReplica(),
    inCohort: false,
    weight: 0,
    lagBytes: 41_000_000,
    lagMs: 3_590_000,
    applyDelayMs: 3_600_000,
  });
}

/** Healthy, a lag that grows and goes, a crash of the primary, its return; then again with the names changed. Operations work. */
function story(cluster: FakeCluster, after: (ms: number, act: () => void) => void): void {
  healthy(cluster);
  cluster.onOperation = request => operate(cluster, request, after);
  const round = (): void => {
    const lost = cluster.primary ?? 'n1';
    const [winner, slow] = [...cluster.members.keys()].filter(id => id !== lost) as [MemberId, MemberId];
    after(20_000, () => Object.assign(cluster.members.get(slow)!, { lagBytes: 22_000_000, lagMs: 1400 }));
    after(32_000, () => Object.assign(cluster.members.get(slow)!, { lagBytes: 0, lagMs: 0 }));
    after(45_000, () => crash(cluster, lost));
    after(45_400, () => replace(cluster, lost, winner));
    after(55_000, () => comeBack(cluster, lost));
    after(60_000, round);
  };
  round();
}

function crash(cluster: FakeCluster, lost: MemberId): void {
  cluster.emit('server-exited', `PostgreSQL of ${lost} ended: signal SIGKILL.`, { member: lost });
  cluster.emit('router-held', 'The router holds statements: there is no primary.');
  Object.assign(cluster.members.get(lost)!, { role: 'none', state: 'stopped', detail: 'stopped', inCohort: false });
  cluster.primary = null;
  cluster.held = 19;
}

function replace(cluster: FakeCluster, lost: MemberId, winner: MemberId): void {
  takeOver(cluster, lost, winner, 0, cluster.term);
  cluster.held = 0;
}

function comeBack(cluster: FakeCluster, id: MemberId): void {
  Object.assign(cluster.members.get(id)!, healthyReplica(), { timeline: cluster.term - 1 });
  cluster.emit('following', `${id} streams from ${cluster.primary} as ${id}_t${cluster.term}.`, { member: id });
}

/** The events of a failover that is over, the last of them `agoMs` ago. */
function takeOver(cluster: FakeCluster, lost: MemberId, winner: MemberId, agoMs: number, oldTerm: number): void {
  if (agoMs > 0) cluster.emit('server-exited', `PostgreSQL of ${lost} ended: signal SIGKILL.`, { member: lost, agoMs: agoMs + 318 });
  cluster.term = oldTerm + 1;
  const at = (beforeMs: number): number => agoMs + beforeMs;
  cluster.emit('term-raised', `${winner} raised term ${cluster.term}: ${lost}'s PostgreSQL has exited.`, {
    member: winner,
    agoMs: at(281),
    inputs: { trigger: 'primary-exited' },
  });
  for (const [i, id] of [...cluster.members.keys()].filter(each => each !== lost).entries()) {
    cluster.emit('promised', `${id} takes no more WAL from primaries before term ${cluster.term}.`, {
      member: id,
      agoMs: at(262 - i * 11),
    });
  }
  cluster.emit('primary-elected', `${winner} leads term ${cluster.term}: it holds 3/3FFC60, the most of the recruits.`, {
    member: winner,
    agoMs: at(231),
  });
  cluster.lead(winner, cluster.term - 1);
  cluster.emit('primary-promoted', `${winner} accepts writes in timeline ${cluster.term - 1}.`, { member: winner, agoMs: at(74) });
  cluster.emit('primary-established', 'One of the cohort holds the point of promotion.', { member: winner, agoMs: at(21) });
  cluster.emit('router-switched', `The router sends writes to ${winner}.`, { member: winner, agoMs: at(9) });
  cluster.emit('router-released', '19 statements that were held go on.', { agoMs: at(8) });
}

async function operate(
  cluster: FakeCluster,
  request: OperationRequest,
  after: (ms: number, act: () => void) => void,
): Promise<OperationResult> {
  const done = (message: string, member: MemberId | null = null): OperationResult => ({ message, member, term: cluster.term });
  await new Promise<void>(resolve => after(600, resolve));
  switch (request.kind) {
    case 'pause':
    case 'resume':
      cluster.paused = request.kind === 'pause';
      cluster.emit(request.kind === 'pause' ? 'paused' : 'resumed', `An operator asked to ${request.kind}.`);
      return done(cluster.paused ? 'No automatic action is taken from now on.' : 'Automatic actions are taken again.');
    case 'add-replica': {
      const id = `n${cluster.members.size + 1}`;
      cluster.members.set(id, healthyReplica());
      cluster.emit('member-joined', `${id} was added.`, { member: id });
      return done(`${id} was added and follows ${cluster.primary}.`, id);
    }
    case 'remove-replica':
      refuse(cluster, request);
      cluster.members.delete(request.id);
      cluster.emit('member-left', `${request.id} was removed.`, { member: request.id });
      return done(`${request.id} was removed.`, request.id);
    case 'switchover':
    case 'failover': {
      refuse(cluster, request);
      const [from, to] = [cluster.primary!, request.to ?? 'n2'];
      if (request.kind === 'switchover')
        cluster.emit('switchover-requested', `An operator asked for ${to} instead of ${from}.`, { agoMs: 330 });
      takeOver(cluster, from, to, 0, cluster.term);
      return done(`${to} is the primary of term ${cluster.term}.`, to);
    }
    case 'restart':
    case 'upgrade':
    case 'move':
    case 'shutdown':
      throw new UnderstudyError('intent-refused', { why: 'This cluster is a picture only.' });
    default:
      return request satisfies never;
  }
}

function refuse(cluster: FakeCluster, request: Extract<OperationRequest, { kind: 'switchover' | 'failover' | 'remove-replica' }>): void {
  const { refusal } = planOperation(cluster, request);
  if (refusal) throw new UnderstudyError(refusal.code, refusal.details);
}
