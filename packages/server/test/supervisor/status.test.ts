import { describe, expect, test } from 'vitest';
import type { ClusterState, MemberReport, PrimaryServer, ReplicaServer, Rule, ServerReport } from '@understudy/core/cluster';
import { LagClock, topologyOf } from '@understudy/core/routing';
import { statusDocument } from '../../src/supervisor/status.ts';
import { reportOf, threeMembers } from '../store/fixture.ts';

const RULE: Rule = { term: 1, primary: 'n1', cohort: ['n2', 'n3'], acks: 1, timeline: 1, established: true, before: [] };

const primary = (change: Partial<PrimaryServer> = {}): PrimaryServer => ({
  kind: 'primary',
  timeline: 1,
  history: [],
  insertLsn: 0x3000060n,
  flushLsn: 0x3000060n,
  senders: [],
  synchronousNames: '',
  synchronousNamesInForce: true,
  ...change,
});

const replica = (id: string, change: Partial<ReplicaServer> = {}): ReplicaServer => ({
  kind: 'replica',
  timeline: 1,
  history: [],
  receiveLsn: 0x3000060n,
  replayLsn: 0x3000060n,
  walEnd: null,
  receiver: { applicationName: `${id}_t1`, streaming: true, lastMessageAgeMs: 1 },
  replayPaused: false,
  followsAs: `${id}_t1`,
  ...change,
});

interface World {
  readonly state?: Partial<ClusterState>;
  readonly servers?: Readonly<Record<string, ServerReport>>;
  readonly reports?: Readonly<Record<string, Partial<MemberReport>>>;
  readonly ages?: Readonly<Record<string, number>>;
  readonly agentsEnded?: readonly string[];
  readonly lag?: LagClock;
}

/** The status of a healthy cluster of three, but for what is said. */
function statusOf({ state: change = {}, servers = {}, reports = {}, ages = {}, agentsEnded = [], lag = new LagClock() }: World = {}) {
  const state: ClusterState = { ...threeMembers(), systemId: '42', rule: RULE, ...change };
  const all: Record<string, ServerReport> = { n1: primary(), n2: replica('n2'), n3: replica('n3'), ...servers };
  const heard = new Map(
    Object.entries(all).map(([id, server]) => [
      id,
      reportOf(id, { server, openTerm: id === 'n1' ? 1 : null, postmasterPid: 9, ...reports[id] }),
    ]),
  );
  const drain = state.intent ? { intentId: state.intent.id, untilMs: 0 } : null;
  return statusDocument({
    state,
    topology: topologyOf(state, heard, drain),
    reports: new Map([...heard].map(([id, report]) => [id, { report, ageMs: ages[id] ?? 10, agentEnded: agentsEnded.includes(id) }])),
    agentPids: new Map([['n1', 77]]),
    router: { clients: 1, reads: {}, writes: 2, held: 0, pid: 5 },
    endpoints: { router: 'postgres://x', http: 'http://y' },
    lag,
    nowMs: 10_000,
    unreachableMs: 2000,
    supervisorPid: 1,
    dataDirectory: '/data',
    describeAlarm: code => `about ${code}`,
  });
}

const memberOf = (world: World, id: string) => statusOf(world).members.find(m => m.id === id);

describe('a healthy cluster', () => {
  test('says so in one sentence', () => {
    const status = statusOf();
    expect(status).toMatchObject({
      schema: 1,
      cluster: 'main',
      verdict: 'healthy',
      summary: 'n1 is the primary of term 1 with 2 replicas; every commit is on 2 servers before it is acknowledged.',
      term: 1,
      primary: 'n1',
      paused: false,
      durability: { mode: 'quorum', acks: 1, cohort: ['n2', 'n3'], protected: true },
      alarms: [],
    });
  });

  test('shows its members', () => {
    expect(statusOf().members[0]).toEqual({
      id: 'n1',
      role: 'primary',
      state: 'running',
      host: '127.0.0.1',
      port: 5433,
      postmasterPid: 9,
      timeline: 1,
      receiveLsn: '0/3000060',
      replayLsn: '0/3000060',
      lagBytes: 0,
      lagMs: 0,
      inCohort: false,
      detail: null,
      agentPid: 77,
    });
    expect(statusOf().members[1]).toMatchObject({ id: 'n2', role: 'replica', state: 'running', inCohort: true, agentPid: null });
  });

  test('stays healthy when it is paused, and says that too', () => {
    const status = statusOf({ state: { paused: { atMs: 1 } } });
    expect([status.verdict, status.paused]).toEqual(['healthy', true]);
    expect(status.summary).toMatch(/Paused: no automatic action is taken\.$/);
  });

  test('stays so while a switchover drains', () => {
    const intent = { kind: 'switchover', id: 'w', to: 'n2', fromTerm: 1, atMs: 0 } as const;
    expect(statusOf({ state: { intent } })).toMatchObject({ verdict: 'healthy', primary: 'n1' });
  });

  test('may be async, or one alone', () => {
    const durability = { ...threeMembers().durability, mode: 'async' } as const;
    const rule = { ...RULE, cohort: [], acks: 0 };
    expect(statusOf({ state: { durability, rule } })).toMatchObject({ verdict: 'healthy', durability: { protected: false } });
    const { n1 } = threeMembers().members;
    expect(statusOf({ state: { members: { n1: n1! }, rule } }).verdict).toBe('healthy');
  });
});

describe('a degraded cluster', () => {
  const cases: readonly [string, World, string][] = [
    [
      'a replica copies',
      {
        servers: { n2: { kind: 'absent' } },
        reports: { n2: { operation: { kind: 'cloning', bytesDone: 1_048_576, bytesTotal: 2_097_152 } } },
      },
      'n2 is cloning, 1.0 MB of 2.0 MB',
    ],
    [
      'a replica that no commit waits for gets nothing',
      {
        state: { durability: { ...threeMembers().durability, mode: 'async' }, rule: { ...RULE, cohort: [], acks: 0 } },
        servers: { n3: replica('n3', { receiver: null }) },
      },
      'n3 is not streaming',
    ],
    ['a replica has not been heard of', { ages: { n3: 5000 } }, 'n3 is not heard of'],
    ['a replica has lost its agent just now', { agentsEnded: ['n3'] }, 'n3 is without its agent, which is started again'],
    [
      'a replica has stopped',
      { servers: { n2: { kind: 'stopped', cleanShutdown: true, timeline: 1, checkpointLsn: 0n, crashed: false } } },
      'n2 is stopped',
    ],
    ['a replica does not count', { state: { rule: { ...RULE, cohort: ['n2'] } } }, 'n3 is running'],
    [
      'the disk of a replica is full',
      { servers: { n2: { kind: 'failing', forMs: 1, was: 'replica', fault: 'disk-full' } } },
      'n2 is out of disk space',
    ],
  ];

  test.each(cases)('%s', (_what, world, words) => {
    const status = statusOf(world);
    expect([status.verdict, status.primary]).toEqual(['degraded', 'n1']);
    expect(status.summary).toContain(words);
  });

  test('without protection says it loudly', () => {
    const status = statusOf({ state: { rule: { ...RULE, cohort: [], acks: 0 } } });
    expect([status.verdict, status.durability.protected]).toEqual(['degraded', false]);
    expect(status.summary).toContain('WRITES ARE NOT PROTECTED');
  });
});

describe('no primary', () => {
  const proposal = { term: 2, by: 'n2', trigger: 'primary-lost', atMs: 0, noticedMs: 0 } as const;

  test.each<[string, World, string]>([
    ['before the cluster is made', { state: { rule: null } }, 'No primary: the cluster is being created.'],
    ['in an election', { state: { proposal } }, 'No primary: an election for term 2 is under way.'],
    [
      'when it has stopped',
      { servers: { n1: { kind: 'starting', sinceMs: 1 } } },
      'No primary: n1, elected for term 1, is not open yet (starting).',
    ],
  ])('%s', (_what, world, summary) => {
    expect(statusOf(world)).toMatchObject({ verdict: 'no-primary', primary: null, summary });
  });

  test('that is open, as long as its commits are not confirmed', () => {
    const status = statusOf({ reports: { n1: { openTerm: null } } });
    expect(status.verdict).toBe('no-primary');
    expect(status.summary).toBe('No primary: n1 leads term 1 and waits for its replicas.');
  });
});

describe('a member', () => {
  test.each<[ServerReport, Partial<MemberReport>, string, string | null]>([
    [{ kind: 'starting', sinceMs: 5 }, {}, 'starting', 'starting'],
    [{ kind: 'absent' }, {}, 'stopped', 'absent'],
    [{ kind: 'unresponsive', forMs: 1234, was: 'replica' }, {}, 'failed', 'not answering for 1.2 s'],
    [{ kind: 'failing', forMs: 1, was: 'replica', fault: 'fsync' }, {}, 'failed', 'unable to write to its disk'],
    [{ kind: 'absent' }, { operation: { kind: 'cloning', bytesDone: 0, bytesTotal: null } }, 'cloning', 'cloning, 0.0 MB'],
    [{ kind: 'absent' }, { operation: { kind: 'rewinding' } }, 'rewinding', 'rewinding'],
    [{ kind: 'absent' }, { operation: { kind: 'initdb' } }, 'starting', 'initdb'],
    [replica('n2', { receiver: null, followsAs: null }), {}, 'running', 'following nobody'],
    [replica('n2', { receiver: null }), {}, 'running', 'not streaming'],
    [replica('n2'), {}, 'running', null],
  ])('with %o and %o', (server, report, state, detail) => {
    expect(memberOf({ servers: { n2: server }, reports: { n2: report } }, 'n2')).toMatchObject({ state, detail });
  });

  test('that has not been heard of for long, or never, is unreachable and has no role', () => {
    expect(memberOf({ ages: { n2: 2001 } }, 'n2')).toMatchObject({ role: 'none', state: 'unreachable', detail: 'not heard of' });
    expect(memberOf({ ages: { n1: 2001 } }, 'n1')).toMatchObject({ role: 'none', state: 'unreachable' });
    const members = { ...threeMembers().members, n4: { ...threeMembers().members['n3']!, id: 'n4' } };
    expect(memberOf({ state: { members } }, 'n4')).toMatchObject({ state: 'unreachable', postmasterPid: null, lagBytes: null });
  });

  test('that is a primary of an older term has no role', () => {
    expect(memberOf({ servers: { n3: primary() } }, 'n3')).toMatchObject({ role: 'none' });
  });

  test('lags by bytes and by time, and never by less than nothing', () => {
    const lag = new LagClock();
    lag.sample(0x3000000n, 1000);
    lag.sample(0x3000060n, 9000);
    const behind = replica('n2', { replayLsn: 0x3000000n });
    // As of its report, which is 10 ms old.
    expect(memberOf({ servers: { n2: behind }, lag }, 'n2')).toMatchObject({ lagBytes: 0x60, lagMs: 990 });
    expect(memberOf({ servers: { n2: behind }, lag, ages: { n2: 1500 } }, 'n2')).toMatchObject({ lagBytes: 0x60, lagMs: 0 });
    const ahead = replica('n2', { replayLsn: 0x3000100n });
    expect(memberOf({ servers: { n2: ahead }, lag }, 'n2')).toMatchObject({ lagBytes: 0, lagMs: 0 });
    expect(memberOf({ servers: { n2: replica('n2', { replayLsn: null, receiveLsn: null }) } }, 'n2')).toMatchObject({
      receiveLsn: null,
      replayLsn: null,
      lagBytes: null,
      lagMs: null,
    });
  });
});

test('a replica that streams has its lag told by stages, as the primary sees them, and one that is paused says so', () => {
  const lag = new LagClock();
  lag.sample(0x3000000n, 1000);
  lag.sample(0x3000060n, 9000);
  const sender = {
    applicationName: 'n2_t1',
    state: 'streaming',
    sentLsn: 0x3000060n,
    writeLsn: 0x3000060n,
    flushLsn: 0x3000000n,
    replayLsn: null,
    syncPriority: 1,
  };
  const servers = { n1: primary({ senders: [sender] }), n2: replica('n2', { replayPaused: true }) };
  expect(memberOf({ servers, lag }, 'n2')).toMatchObject({
    lagStages: { sent: { bytes: 0, ms: 0 }, written: { bytes: 0, ms: 0 }, flushed: { bytes: 0x60, ms: 990 }, replayed: null },
    replayPaused: true,
    detail: 'replay is paused by an operator',
  });
  expect(memberOf({ servers, lag }, 'n3')).not.toHaveProperty('lagStages');
  expect(memberOf({ servers, lag }, 'n1')).not.toHaveProperty('lagStages');
});

test('alarms are told with their words, and not of members that are gone', () => {
  const { n3: _gone, ...members } = threeMembers().members;
  const reports = { n2: { alarms: ['x'] }, n3: { alarms: ['y'] } };
  expect(statusOf({ state: { members }, reports }).alarms).toEqual([{ member: 'n2', code: 'x', message: 'about x' }]);
});

describe('a delayed replica', () => {
  const members = threeMembers().members;
  const state = { members: { ...members, n3: { ...members['n3']!, applyDelayMs: 3_600_000 } }, rule: { ...RULE, cohort: ['n2'] } };

  test('is well though it lags, and though it does not stream while it has WAL of its own to apply', () => {
    const shown = (n3: Partial<ReplicaServer>) => statusOf({ state, servers: { n3: replica('n3', n3) } });
    const lags = shown({ replayLsn: 0x1000000n });
    expect([lags.verdict, lags.members[2]]).toMatchObject(['healthy', { applyDelayMs: 3_600_000, lagBytes: 0x2000060, detail: null }]);
    expect(shown({ replayLsn: 0x1000000n, receiver: null }).verdict).toBe('healthy');
    const walEnd = { timeline: 1, lsn: 0x3000060n, history: [] };
    expect(shown({ walEnd, receiver: null })).toMatchObject({ verdict: 'degraded', members: [{}, {}, { detail: 'not streaming' }] });
  });
});

test("with acknowledgements from other zones, a replica of the primary's own is well while it streams", () => {
  const { members, durability } = threeMembers();
  const zones: Readonly<Record<string, string>> = { n1: 'east', n2: 'east', n3: 'west' };
  const zoned = Object.fromEntries(Object.values(members).map(m => [m.id, { ...m, zone: zones[m.id]! }]));
  const state = { members: zoned, durability: { ...durability, acksFrom: 'other-zones' as const }, rule: { ...RULE, cohort: ['n3'] } };
  expect(statusOf({ state }).verdict).toBe('healthy');
  expect(statusOf({ state, servers: { n2: replica('n2', { receiver: null }) } }).verdict).toBe('degraded');
  expect(statusOf({ state: { ...state, rule: { ...RULE, cohort: ['n2'] } } }).verdict).toBe('degraded');
});
