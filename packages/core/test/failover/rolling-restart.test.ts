import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MemberReport } from '../../src/cluster/index.ts';
import {
  afterStep,
  foreseenSteps,
  majorDifference,
  nextRestartStep,
  type RestartCandidate,
  type RestartScope,
  type RestartView,
  restartViewOf,
} from '../../src/failover/index.ts';
import { healthy, report, spec, stateOf, streaming } from './view-builder.ts';

const limits = (running: number, configured = running) => ({
  running: { max_connections: running },
  configured: { max_connections: configured },
});

function candidate(id: string, change: Partial<RestartCandidate> = {}): RestartCandidate {
  const inCohort = id !== 'n1';
  return { id, isDue: true, isWell: true, detail: null, inCohort, mayLead: true, limits: limits(200), knowsLimits: true, ...change };
}

function view(change: Partial<RestartView> = {}, members = ['n1', 'n2', 'n3'].map(id => candidate(id))): RestartView {
  return { primary: 'n1', acks: 1, protects: true, members, ...change };
}

const words = (of: RestartView): readonly string[] =>
  foreseenSteps(of).map(step => {
    if (step.kind === 'restart') return `restart ${step.member}`;
    return step.kind === 'switchover' ? `switchover ${step.from} to ${step.to}` : step.kind;
  });

describe('what is restarted next', () => {
  it('takes the replicas one at a time, then a switchover, which starts the old primary anew', () => {
    expect(words(view())).toEqual(['restart n2', 'restart n3', 'switchover n1 to n2', 'done']);
  });

  it('leaves alone who is not due', () => {
    const some = [candidate('n1', { isDue: false }), candidate('n2', { isDue: false }), candidate('n3')];
    expect(words(view({}, some))).toEqual(['restart n3', 'done']);
    expect(words(view({}, [candidate('n1', { isDue: false })]))).toEqual(['done']);
  });

  it('waits for each member to be back, and for an open primary', () => {
    const back = candidate('n2', { isDue: false, isWell: false, detail: 'not streaming yet' });
    expect(nextRestartStep(view({}, [candidate('n1'), back, candidate('n3')]))).toEqual({ kind: 'wait', why: 'n2 is not streaming yet' });
    expect(nextRestartStep(view({ primary: null }))).toMatchObject({ kind: 'wait' });
  });

  it('G2: is refused where commits could not be acknowledged while a member is away', () => {
    expect(words(view({}, [candidate('n1'), candidate('n2')]))).toEqual(['refused']);
    expect(words(view({ acks: 2 }))).toEqual(['refused']);
    expect(words(view({ acks: 0 }))).toEqual(['refused']);
    // Nothing is promised in async durability.
    expect(words(view({ acks: 0, protects: false }, [candidate('n1'), candidate('n2', { inCohort: false })]))).toEqual([
      'restart n2',
      'switchover n1 to n2',
      'done',
    ]);
  });

  it('restarts a primary in place where nobody may take over', () => {
    const barred = ['n2', 'n3'].map(id => candidate(id, { isDue: false, mayLead: false }));
    expect(words(view({}, [candidate('n1'), ...barred]))).toEqual(['restart n1', 'done']);
    const only = candidate('n2', { isDue: false });
    expect(words(view({}, [candidate('n1'), only]))).toEqual(['restart n1', 'done']);
  });

  it('raises limits on the replicas first, and lowers them on the primary first', () => {
    const to = (configured: number) =>
      view(
        {},
        ['n1', 'n2', 'n3'].map(id => candidate(id, { limits: limits(200, configured) })),
      );
    expect(words(to(300))).toEqual(['restart n2', 'restart n3', 'switchover n1 to n2', 'done']);
    expect(words(to(100))).toEqual(['restart n1', 'restart n2', 'restart n3', 'done']);
  });

  it('lowers them on a replica only once that has replayed the start of its primary', () => {
    const members = [
      candidate('n1', { isDue: false, limits: limits(100) }),
      candidate('n2', { limits: limits(200, 100), knowsLimits: false }),
      candidate('n3'),
    ];
    expect(nextRestartStep(view({}, members))).toEqual({ kind: 'restart', member: 'n3' });
    const last = members.map(member => ({ ...member, isDue: member.id === 'n2' }));
    expect(nextRestartStep(view({}, last))).toMatchObject({ kind: 'wait', why: expect.stringContaining('n2 has not replayed') });
  });

  it('waits for no replay where the limits stay, or rise: a delayed replica would have to sit out its delay', () => {
    for (const kept of [limits(200), limits(200, 300)]) {
      const delayed = candidate('n4', { inCohort: false, mayLead: false, knowsLimits: false, limits: kept });
      expect(nextRestartStep(view({}, [candidate('n1'), delayed]))).toEqual({ kind: 'restart', member: 'n4' });
    }
    const unknown = candidate('n4', { inCohort: false, mayLead: false, knowsLimits: false, limits: null });
    expect(nextRestartStep(view({}, [candidate('n1'), unknown]))).toMatchObject({ kind: 'wait' });
  });

  it('refuses what would leave a replica that does not start', () => {
    const lonely = [candidate('n1', { isDue: false }), candidate('n2', { limits: limits(200, 100) }), candidate('n3', { isDue: false })];
    expect(nextRestartStep(view({}, lonely))).toEqual({
      kind: 'refused',
      why: "n2 would not start: its max_connections is to be less than the primary's, which is 200 on n1. Set it there, too.",
    });
    const mixed = {
      running: { max_connections: 200, max_worker_processes: 8 },
      configured: { max_connections: 300, max_worker_processes: 4 },
    };
    expect(
      nextRestartStep(
        view(
          {},
          ['n1', 'n2', 'n3'].map(id => candidate(id, { limits: mixed })),
        ),
      ),
    ).toMatchObject({ kind: 'refused' });
  });

  it('goes on from wherever it was cut off: each due server once, no primary before its replicas, nobody below the limits', () => {
    const member = fc.record({ isDue: fc.boolean(), running: fc.constantFrom(200, 300), configured: fc.constantFrom(100, 200, 300) });
    fc.assert(
      fc.property(fc.array(member, { minLength: 3, maxLength: 6 }), fc.constantFrom(1, 2), (drawn, acks) => {
        const highest = Math.max(...drawn.map(({ running }) => running));
        const members = drawn.map((each, i) =>
          // The replicas run with at least what the primary has.
          candidate(`n${i + 1}`, { isDue: each.isDue, limits: limits(i === 0 ? each.running : highest, each.configured) }),
        );
        let now = view({ acks }, members);
        const restarted: string[] = [];
        for (;;) {
          // A process that knows nothing of the one before it.
          const step = nextRestartStep(structuredClone(now));
          if (step.kind !== 'restart' && step.kind !== 'switchover') {
            expect(step.kind).not.toBe('wait');
            if (step.kind === 'done') expect(restarted.toSorted()).toEqual(members.filter(m => m.isDue).map(m => m.id));
            return;
          }
          const [id, leader] = step.kind === 'restart' ? [step.member, now.primary] : [step.from, step.to];
          expect(restarted).not.toContain(id);
          restarted.push(id);
          const away = step.kind === 'restart' ? id : step.to;
          const isReplica = (m: RestartCandidate): boolean => m.inCohort && m.id !== away;
          if (away !== now.primary) expect(now.members.filter(isReplica).length).toBeGreaterThanOrEqual(acks);
          now = afterStep(now, step);
          const runningOf = (of: string | null) => now.members.find(m => m.id === of)!.limits!.running['max_connections']!;
          for (const { id: replica } of now.members) expect(runningOf(replica)).toBeGreaterThanOrEqual(runningOf(leader));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('what a restart has before it', () => {
  const heard = (change: Parameters<typeof report>[2] = {}) =>
    new Map<string, MemberReport>(
      healthy().map(each => [each.id, { pendingRestart: [], startedAtMs: 5, installedVersion: 180000, ...each, ...change }]),
    );
  const due = (scope: RestartScope, reports = heard(), state = stateOf()): readonly string[] =>
    restartViewOf(state, reports, scope).members.flatMap(({ id, isDue }) => (isDue ? [id] : []));

  it('finds who is due: by settings that wait, by another minor version, by the life of its server', () => {
    expect(due({ kind: 'pending' })).toEqual([]);
    expect(due({ kind: 'pending' }, heard({ pendingRestart: ['shared_buffers'] }))).toEqual(['n1', 'n2', 'n3']);
    expect(due({ kind: 'upgrade' }, heard({ installedVersion: 180001 }))).toEqual(['n1', 'n2', 'n3']);
    expect(due({ kind: 'lives', startedAtMs: { n1: 5, n2: 4 } })).toEqual(['n1']);
  });

  it('prefers as the primary who has the higher priority, and counts nobody who leaves', () => {
    const members = { n1: spec('n1'), n2: spec('n2', { lifecycle: 'leaving' }), n3: spec('n3', { priority: 200 }) };
    expect(restartViewOf(stateOf({ members }), heard(), { kind: 'pending' }).members.map(({ id }) => id)).toEqual(['n3', 'n1']);
  });

  it.each([
    ['is not heard of', new Map([...heard()].filter(([id]) => id !== 'n2')), {}],
    ['does not stream', heard().set('n2', { ...heard().get('n2')!, server: streaming('n2', { receiver: null }) }), {}],
    ['follows in an older term', heard().set('n2', { ...heard().get('n2')!, server: streaming('n2', { followsAs: 'n2_t6' }) }), {}],
    ['is not in the cohort', heard(), { rule: { ...stateOf().rule!, cohort: ['n3'] } }],
    ['has not told what waits', heard().set('n2', report('n2', streaming('n2'))), {}],
    ['copies', heard().set('n2', { ...heard().get('n2')!, operation: { kind: 'rewinding' } }), {}],
  ] as const)('waits for a member that %s', (_what, reports, change) => {
    const { members } = restartViewOf(stateOf(change), reports, { kind: 'pending' });
    expect(members.filter(({ isWell }) => !isWell).map(({ id }) => id)).toEqual(['n2']);
  });

  it('waits for none that streams from its upstream, has its delay to sit out, or stands in the zone of the primary', () => {
    const members = {
      n1: spec('n1', { zone: 'east' }),
      n2: spec('n2', { zone: 'east' }),
      n3: spec('n3', { zone: 'west' }),
      n4: spec('n4', { follows: 'n2' }),
      n5: spec('n5', { applyDelayMs: 1000 }),
    };
    const state = stateOf({ members });
    const across = {
      ...state,
      rule: { ...state.rule!, cohort: ['n3'] },
      durability: { ...state.durability, acksFrom: 'other-zones' as const },
    };
    const applicationName = 'n4_t7_from_n2';
    const cascading = streaming('n4', { followsAs: applicationName, receiver: { applicationName, streaming: true, lastMessageAgeMs: 1 } });
    const delayed = streaming('n5', { receiver: null, walEnd: null });
    const reports = heard()
      .set('n4', report('n4', cascading, { pendingRestart: [] }))
      .set('n5', report('n5', delayed, { pendingRestart: [] }));
    expect(
      restartViewOf(across, reports, { kind: 'pending' }).members.flatMap(({ id, detail }) => (detail ? [`${id} ${detail}`] : [])),
    ).toEqual([]);
  });

  it('counts a replica as back that streams from another replica', () => {
    const cascading = heard().set('n2', { ...heard().get('n2')!, server: streaming('n2', { followsAs: 'n2_t7_from_n3' }) });
    expect(restartViewOf(stateOf(), cascading, { kind: 'pending' }).members.filter(({ isWell }) => !isWell)).toEqual([]);
  });

  it('knows another major version from another minor one', () => {
    expect(majorDifference(heard({ installedVersion: 180004 }))).toBeNull();
    expect(majorDifference(heard({ installedVersion: 190000 }))).toEqual({ id: 'n1', running: 18, installed: 19 });
  });
});
