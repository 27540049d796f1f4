import { describe, expect, test } from 'vitest';
import type { ClusterState, MemberId, MemberReport, ServerReport } from '../../src/cluster/index.ts';
import { type DrainClock, type Topology, topologyOf } from '../../src/routing/index.ts';
import { HISTORY, primary, replica, report, RULE, spec, stateOf, streaming } from '../failover/view-builder.ts';

const OPEN = report('n1', primary(), { openTerm: 7 });

interface World {
  readonly state?: Partial<ClusterState>;
  readonly reports?: Readonly<Record<MemberId, MemberReport>>;
  readonly drain?: DrainClock | null;
}

/** A healthy cluster of three, but for what is said. */
function topology({ state = {}, reports = {}, drain = null }: World = {}): Topology {
  const heard = { n1: OPEN, n2: report('n2', streaming('n2')), n3: report('n3', streaming('n3')), ...reports };
  return topologyOf(stateOf(state), new Map(Object.entries(heard)), drain);
}

const server = (id: MemberId, timeline = 4) => ({ id, host: `${id}.test`, port: 5432, timeline, weight: 100, zone: null });
const ids = ({ replicas }: Topology): readonly MemberId[] => replicas.map(({ id }) => id);

describe('a healthy cluster', () => {
  test('has an open primary, its replicas and the fork points of its timeline', () => {
    expect(topology()).toEqual({
      term: 7,
      primary: { kind: 'open', server: server('n1') },
      replicas: [server('n2'), server('n3')],
      history: HISTORY,
    });
  });

  test('hands on weight and zone', () => {
    const members = { ...stateOf().members, n2: spec('n2', { zone: 'west', readWeight: 7 }) };
    expect(topology({ state: { members } }).replicas[0]).toMatchObject({ zone: 'west', weight: 7 });
  });
});

describe('there is no primary', () => {
  const reasonOf = (world: World): string => {
    const { primary: state } = topology(world);
    return state.kind === 'absent' ? state.reason : state.kind;
  };
  const higher = { term: 8, by: 'n2', trigger: 'primary-lost', atMs: 0, noticedMs: 0 } as const;

  test('before the cluster is made', () => {
    expect(topology({ state: { rule: null } })).toEqual({
      term: 0,
      primary: { kind: 'absent', reason: 'the cluster is being created' },
      replicas: [],
      history: [],
    });
  });

  test('while a newer term is asked for, whatever the old one says of itself', () => {
    expect(reasonOf({ state: { proposal: higher } })).toBe('an election for term 8 is under way');
  });

  test('as long as it has not been heard of', () => {
    const heard = new Map([['n2', report('n2', streaming('n2'))]]);
    expect(topologyOf(stateOf(), heard, null).primary).toEqual({
      kind: 'absent',
      reason: 'n1, the primary of term 7, has not been heard of yet',
    });
  });

  test('but one that was elected, and can be connected to while it is promoted', () => {
    const { primary: state } = topology({ reports: { n1: report('n1', replica()) } });
    expect(state).toMatchObject({ kind: 'absent', next: server('n1') });
    for (const [found, promisedTerm] of [
      [replica(), 6],
      [{ kind: 'starting', sinceMs: 10 } as const, 7],
    ] as const)
      expect(topology({ reports: { n1: report('n1', found, { promisedTerm }) } }).primary).not.toHaveProperty('next');
  });

  test.each<ServerReport>([
    { kind: 'absent' },
    { kind: 'stopped', cleanShutdown: false, timeline: 4, checkpointLsn: 0n, crashed: true },
    { kind: 'starting', sinceMs: 10 },
    replica(),
    { kind: 'unresponsive', forMs: 600, was: 'primary' },
    { kind: 'failing', forMs: 600, was: 'primary', fault: 'disk-full' },
  ])('while its server is $kind', found => {
    expect(reasonOf({ reports: { n1: report('n1', found, { openTerm: 7 }) } })).toBe(
      `n1, elected for term 7, is not open yet (${found.kind})`,
    );
  });

  test('while it writes another timeline than it was given', () => {
    const world = { reports: { n1: report('n1', primary({ timeline: 3 }), { openTerm: 7 }) } };
    expect(reasonOf(world)).toContain('is not open yet');
    expect(topology(world).history).toEqual([]);
  });
});

describe('there is a primary that takes nothing new', () => {
  const switchover = { kind: 'switchover', id: 'w', to: 'n2', fromTerm: 7, atMs: 0 } as const;
  const drain = { intentId: 'w', untilMs: 5000 };

  test('while its rule is not established', () => {
    expect(topology({ state: { rule: { ...RULE, established: false } } }).primary).toEqual({ kind: 'unconfirmed', server: server('n1') });
  });

  test.each([null, 6])('while it has confirmed only term %j', openTerm => {
    expect(topology({ reports: { n1: report('n1', primary(), { openTerm }) } }).primary.kind).toBe('unconfirmed');
  });

  test('while a switchover drains it', () => {
    expect(topology({ state: { intent: switchover }, drain }).primary).toEqual({
      kind: 'draining',
      server: server('n1'),
      drainUntilMs: 5000,
    });
  });

  test.each<[string, World]>([
    ['another wish', { state: { intent: switchover }, drain: { intentId: 'v', untilMs: 5000 } }],
    ['a wish of an older term', { state: { intent: { ...switchover, fromTerm: 6 } }, drain }],
    ['a failover by order', { state: { intent: { ...switchover, kind: 'failover', acceptDataLoss: false } }, drain }],
    ['no wish any more', { drain }],
    ['a wish that this router has not seen', { state: { intent: switchover } }],
  ])('but not for %s', (_what, world) => {
    expect(topology(world).primary.kind).toBe('open');
  });

  test('an unconfirmed one stays so when a switchover is wished for', () => {
    const reports = { n1: report('n1', primary(), { openTerm: null }) };
    expect(topology({ state: { intent: switchover }, reports, drain }).primary.kind).toBe('unconfirmed');
  });
});

describe('a replica', () => {
  const n2 = (found: ServerReport, change: Partial<MemberReport> = {}): World => ({ reports: { n2: report('n2', found, change) } });
  const members = stateOf().members;

  test.each<[string, World]>([
    ['that was not heard of', { reports: { n2: undefined as never } }],
    ['whose replay is paused', n2(streaming('n2', { replayPaused: true }))],
    ['that follows nobody', n2(replica())],
    ['that follows under an older term', n2(replica({ followsAs: 'n2_t6' }))],
    ['that follows under a newer term', n2(replica({ followsAs: 'n2_t8' }))],
    ['that follows under a name that is not ours', n2(replica({ followsAs: 'walreceiver' }))],
    ['that is a primary by mistake', n2(primary())],
    ['that does not answer', n2({ kind: 'unresponsive', forMs: 600, was: 'replica' })],
    ['with a failing disk', n2({ kind: 'failing', forMs: 600, was: 'replica', fault: 'fsync' })],
    ['of another cluster', n2(streaming('n2'), { systemId: '43' })],
    ['of an unknown cluster', n2(streaming('n2'), { systemId: null })],
    ['that is leaving', { state: { members: { ...members, n2: spec('n2', { lifecycle: 'leaving' }) } } }],
  ])('%s serves no reads', (_what, world) => {
    expect(ids(topology(world))).toEqual(['n3']);
  });

  test('that streams is routable with the timeline that it holds, in the cohort or not', () => {
    const state = { rule: { ...RULE, cohort: ['n3'] } };
    expect(topology({ state, ...n2(streaming('n2', { timeline: 3 })) }).replicas[0]).toEqual(server('n2', 3));
  });

  test('of a rule that is not established serves no reads: what it shows could still be lost', () => {
    expect(ids(topology({ state: { rule: { ...RULE, established: false } } }))).toEqual([]);
  });

  test('whose member was taken off the list is not there', () => {
    const { n2: _gone, ...rest } = members;
    expect(ids(topology({ state: { members: rest } }))).toEqual(['n3']);
  });
});

describe('while an election is under way', () => {
  const proposal = { term: 8, by: 'n2', trigger: 'primary-lost', atMs: 0, noticedMs: 0 } as const;

  test('the isolated members of the old cohort go on serving, others do not', () => {
    const reports = { n2: report('n2', replica()), n3: report('n3', replica()) };
    expect(ids(topology({ state: { proposal, rule: { ...RULE, cohort: ['n2'] } }, reports }))).toEqual(['n2']);
  });

  test('so does one that has not heard of it yet', () => {
    expect(ids(topology({ state: { proposal } }))).toEqual(['n2', 'n3']);
  });

  test('the old primary serves nothing, though it may come back as a replica', () => {
    expect(ids(topology({ state: { proposal }, reports: { n1: report('n1', replica({ followsAs: 'n1_t7' })) } }))).toEqual(['n2', 'n3']);
  });

  test('nobody serves when the rule before was not established', () => {
    expect(ids(topology({ state: { proposal, rule: { ...RULE, established: false } } }))).toEqual([]);
  });
});

describe('a standby cluster', () => {
  const standby = { source: { hosts: [{ host: 'a.test', port: 5432 }], user: null, tls: null }, sinceMs: 0 };
  const state = { standby, rule: { ...RULE, cohort: [], acks: 0 } };
  const fed = (id: MemberId) => report(id, replica({ followsAs: `${id}_t7_from_n1` }));

  test('has no primary, says where it is, and reads on all members, the leader among them', () => {
    const known = topology({ state, reports: { n1: report('n1', replica()), n2: fed('n2'), n3: fed('n3') } });
    expect(known.primary).toMatchObject({ kind: 'absent', elsewhere: 'a.test:5432' });
    expect(ids(known)).toEqual(['n1', 'n2', 'n3']);
  });

  test('reads on no server that still is a primary, or holds another cluster, or was paused', () => {
    const reports = { n1: OPEN, n2: report('n2', replica(), { systemId: '43' }), n3: report('n3', replica({ replayPaused: true })) };
    expect(ids(topology({ state, reports }))).toEqual([]);
  });
});
