import { describe, expect, test } from 'vitest';
import type { ClusterState, MemberId, MemberReport, ReplicaServer, Rule, ServerReport, SourceReport } from '../../src/cluster/index.ts';
import { cascadeName, standbyStreamName } from '../../src/cluster/index.ts';
import {
  chooseSource,
  decide,
  demotedState,
  forkBefore,
  judgePromotion,
  PLAIN_PROMOTION,
  promotedState,
  type SeenSource,
  type SourceFacts,
} from '../../src/failover/index.ts';
import { HISTORY, NOW, primary, replica, report, stateOf, type ViewParts, viewOf } from './view-builder.ts';

const SOURCE = {
  hosts: [
    { host: 'a.test', port: 5432 },
    { host: 'b.test', port: 5432 },
  ],
  user: null,
  tls: null,
};
const LED: Rule = { term: 7, primary: 'n1', cohort: [], acks: 0, timeline: 4, established: true, before: [] };
const STANDBY: Partial<ClusterState> = { standby: { source: SOURCE, sinceMs: 0 }, rule: LED };

const seen = (change: Partial<SeenSource> = {}): SeenSource => ({
  host: 'a.test',
  port: 5432,
  role: 'primary',
  timeline: 4,
  lsn: 1000n,
  history: HISTORY,
  slotLsn: 900n,
  ...change,
});
const facts = (servers: readonly SeenSource[], change: Partial<SourceFacts> = {}): SourceFacts => ({
  systemId: '42',
  servers,
  faults: [],
  ...change,
});
const UNREACHABLE = facts([], { systemId: null, faults: [{ host: 'a.test', port: 5432, code: 'unreachable', why: 'refused' }] });

/** A replica that streams from the source, or from the leader of term 7. */
const fed = (as: 'leader' | MemberId, change: Partial<ReplicaServer> = {}): ReplicaServer => {
  const applicationName = as === 'leader' ? standbyStreamName('n1', 7) : cascadeName(as, 7, 'n1');
  const receiver = { applicationName, streaming: true, lastMessageAgeMs: 100 };
  const followsAt = as === 'leader' ? { host: 'a.test', port: 5432 } : { host: 'n1.test', port: 5432 };
  return replica({ followsAs: applicationName, followsAt, receiver, ...change });
};

interface World {
  readonly self: MemberId;
  readonly servers?: Readonly<Record<MemberId, ServerReport>>;
  readonly state?: Partial<ClusterState>;
  readonly source?: SourceFacts | null;
  readonly local?: ViewParts['local'];
  readonly silent?: readonly MemberId[];
  readonly reported?: Readonly<Record<MemberId, Partial<MemberReport>>>;
}

/** A healthy standby cluster of three, led by n1, but for what is said. */
function decided({ self, servers = {}, state = {}, source = facts([seen()]), local = {}, silent = [], reported = {} }: World) {
  const all: Record<MemberId, ServerReport> = { n1: fed('leader'), n2: fed('n2'), n3: fed('n3'), ...servers };
  const reports = Object.entries(all).map(([id, server]) => report(id, server, reported[id] ?? {}));
  const silentMs = Object.fromEntries(silent.map(id => [id, 2000]));
  return decide(viewOf({ self, state: { ...STANDBY, ...state }, reports, silentMs, local: { source, ...local } }), NOW);
}
const kinds = (world: World): readonly string[] =>
  decided(world).map(({ action }) => (action.kind === 'alarm' ? action.code : action.kind));
const nextRule = (world: World): Rule | null => {
  const action = decided(world)[0]?.action;
  return action?.kind === 'change-store' ? action.next.rule : null;
};

describe('the server of the source', () => {
  const a = seen();
  const b = seen({ host: 'b.test', role: 'replica', lsn: 999n });
  test('is the primary of the newest timeline, else the one that is followed, else the furthest', () => {
    expect(chooseSource([b, a], null)).toBe(a);
    expect(chooseSource([a, seen({ ...b, role: 'primary', timeline: 5 })], a)?.host).toBe('b.test');
    expect(chooseSource([seen({ role: 'replica' }), b], b)).toBe(b);
    expect(chooseSource([b, seen({ role: 'replica', lsn: 1001n })], null)?.host).toBe('a.test');
    expect(chooseSource([], null)).toBeNull();
  });

  test('has a fork only where its newer history leaves ours before its end', () => {
    const end = { timeline: 4, lsn: 1000n, history: HISTORY };
    const newer = (endLsn: bigint) => ({ timeline: 5, lsn: 2000n, history: [...HISTORY, { timeline: 4, endLsn }] });
    expect(forkBefore(end, newer(1000n))).toBeNull();
    expect(forkBefore(end, newer(990n))).toBe(990n);
    // Behind on the same timeline, or still on an older one: it is waited for.
    expect(forkBefore(end, { ...end, lsn: 10n })).toBeNull();
    expect(forkBefore(end, { timeline: 2, lsn: 400n, history: [] })).toBeNull();
  });
});

describe('the standby leader', () => {
  test('has nothing to do while it streams from the right server', () => expect(kinds({ self: 'n1' })).toEqual([]));

  test('follows the source under a name of its own, through a slot of the cluster', () => {
    const [first] = decided({ self: 'n1', servers: { n1: replica() } });
    expect(first?.action).toMatchObject({ kind: 'follow-source', host: 'a.test', applicationName: 'n1_t7_standby', slot: 'standby_main' });
  });

  test('leaves a server that another one has replaced, and one of an older term', () => {
    const replaced = facts([seen(), seen({ host: 'b.test', timeline: 5, history: [...HISTORY, { timeline: 4, endLsn: 1000n }] })]);
    expect(kinds({ self: 'n1', source: replaced })).toEqual(['isolate']);
    expect(kinds({ self: 'n1', servers: { n1: fed('leader', { followsAs: 'n1_t6_from_n2' }) } })).toEqual(['isolate']);
  });

  test('streams on while the source is not seen, and says so when it does not', () => {
    expect(kinds({ self: 'n1', source: UNREACHABLE })).toEqual([]);
    expect(kinds({ self: 'n1', servers: { n1: replica() }, source: UNREACHABLE })).toEqual(['source-unreachable']);
    const other = facts([], { faults: [{ host: 'a.test', port: 5432, code: 'other-cluster', why: 'it is another one' }] });
    expect(kinds({ self: 'n1', servers: { n1: replica() }, source: other })).toEqual(['source-unfit']);
  });

  test('is copied anew where its WAL went past the fork of the source', () => {
    const forked = facts([seen({ timeline: 5, history: [...HISTORY, { timeline: 4, endLsn: 990n }] })]);
    expect(decided({ self: 'n1', servers: { n1: replica() }, source: forked })[0]?.action).toMatchObject({
      kind: 'copy-source',
      forkLsn: 990n,
    });
  });

  test('is copied anew for missing WAL only when its slot shows that it is gone', () => {
    const dry = fed('leader', { receiver: null });
    const since = { streamedAtMs: { n1: NOW - 40_000 }, seen: { proposalAtMs: 0, ruleAtMs: 0, intentAtMs: 0, leadingAtMs: NOW } };
    const ahead = (slotLsn: bigint | null) => facts([seen({ lsn: 5000n, slotLsn })]);
    const world = { self: 'n1', servers: { n1: dry }, local: since };
    expect(kinds({ ...world, source: ahead(1001n) })).toEqual(['copy-source']);
    expect(kinds({ ...world, source: ahead(900n) })).toEqual(['source-silent']);
    expect(kinds({ ...world, source: facts([seen()]) })).toEqual([]);
    expect(kinds({ ...world, source: ahead(1001n), local: { ...since, streamedAtMs: { n1: NOW - 1000 } } })).toEqual([]);
  });

  test('hands over to the furthest replica when its server is gone, and starts again when there is none', () => {
    const stopped = { kind: 'stopped', cleanShutdown: false, timeline: 4, checkpointLsn: 900n, crashed: true } as const;
    const servers = { n1: stopped, n2: fed('n2', { receiveLsn: 1000n }), n3: fed('n3', { receiveLsn: 1010n }) };
    expect(nextRule({ self: 'n1', servers })).toEqual({ ...LED, term: 8, primary: 'n3' });
    expect(kinds({ self: 'n1', servers: { n1: stopped, n2: stopped, n3: stopped } })).toEqual(['start-isolated']);
  });

  test('never promotes anybody, and shuts down a server that still is a primary', () => {
    expect(kinds({ self: 'n1', servers: { n1: primary() } })).toEqual(['shutdown']);
    expect(kinds({ self: 'n1', servers: { n1: { kind: 'unresponsive', forMs: 5000, was: 'primary' } } })).toEqual(['fence']);
    const promoting = decided({ self: 'n1', servers: { n1: replica() }, state: { rule: { ...LED, timeline: 9 } } });
    expect(promoting.map(({ action }) => action.kind)).not.toContain('promote');
  });

  test('takes a wish for another primary off the list', () => {
    const intent = { kind: 'switchover', id: 'x', to: 'n2', fromTerm: 7, atMs: 0 } as const;
    expect(decided({ self: 'n1', state: { intent } })[0]?.action).toMatchObject({ kind: 'change-store', next: { intent: null } });
  });
});

describe('a member of a standby cluster that does not lead', () => {
  test('streams from the leader, as one whose acknowledgement counts for nobody', () => {
    const [first] = decided({ self: 'n2', servers: { n2: replica() } });
    expect(first?.action).toMatchObject({ kind: 'follow', from: 'n1', applicationName: 'n2_t7_from_n1' });
    expect(kinds({ self: 'n2' })).toEqual([]);
  });

  test('waits for a leader that is behind, and is rewound only where the history of the leader forked off', () => {
    const ahead = replica({ walEnd: { timeline: 4, lsn: 5000n, history: HISTORY } });
    expect(kinds({ self: 'n2', servers: { n2: ahead } })).toEqual(['follow']);
    const history = [...HISTORY, { timeline: 4, endLsn: 990n }];
    const moved = fed('leader', { timeline: 5, history });
    expect(decided({ self: 'n2', servers: { n1: moved, n2: replica() } })[0]?.action).toMatchObject({ kind: 'rejoin', fromLsn: 990n });
    const older = fed('leader', { timeline: 2, history: [], receiveLsn: 400n, replayLsn: 400n });
    expect(kinds({ self: 'n2', servers: { n1: older, n2: replica() } })).toEqual(['follow']);
  });

  test('clones the leader when it has no data, and not before the leader has some', () => {
    expect(kinds({ self: 'n2', servers: { n2: { kind: 'absent' } } })).toEqual(['clone']);
    expect(kinds({ self: 'n2', servers: { n1: { kind: 'starting', sinceMs: 1 }, n2: { kind: 'absent' } } })).toEqual([]);
  });

  test('takes over from a leader that is silent, the furthest of them all, without any promise', () => {
    const servers = { n2: fed('n2', { receiveLsn: 1000n }), n3: fed('n3', { receiveLsn: 1010n }) };
    expect(nextRule({ self: 'n3', servers, silent: ['n1'] })).toEqual({ ...LED, term: 8, primary: 'n3' });
    const members = { ...stateOf().members, n3: { ...stateOf().members['n3']!, nofailover: true } };
    expect(nextRule({ self: 'n2', servers, silent: ['n1'], state: { members } })?.primary).toBe('n2');
  });

  test('takes over from one that does not reach the source, when others do', () => {
    const nothing = { servers: [], faults: [], ageMs: 10, newest: null, primarySeenMs: null, endsWithShutdown: false };
    const world = { self: 'n2', servers: { n1: replica() }, reported: { n1: { source: nothing } } };
    const local = { streamedAtMs: { n1: NOW - 20_000 }, seen: { proposalAtMs: 0, ruleAtMs: 0, intentAtMs: 0, leadingAtMs: NOW } };
    expect(nextRule({ ...world, local })?.primary).toBe('n2');
    expect(nextRule({ ...world, local, source: UNREACHABLE })).toBeNull();
    expect(nextRule({ ...world, local: { ...local, streamedAtMs: { n1: NOW - 1000 } } })).toBeNull();
  });

  test('does nothing while the cluster is paused', () =>
    expect(kinds({ self: 'n2', silent: ['n1'], state: { paused: { atMs: 0 } } })).toEqual([]));
});

describe('a new standby cluster', () => {
  const NEW: Partial<ClusterState> = { rule: null, systemId: null, proposal: null };
  const absent = { n1: { kind: 'absent' }, n2: { kind: 'absent' }, n3: { kind: 'absent' } } as const;
  const none = { systemId: null };
  const world = { self: 'n1', servers: absent, reported: { n1: none, n2: none, n3: none } };
  const claimed = { ...NEW, proposal: { term: 1, by: 'n1', trigger: 'bootstrap', atMs: 0, noticedMs: 0 } } as const;

  test('has one member copy the source, once it is known which cluster that is', () => {
    expect(decided({ ...world, state: NEW })[0]?.action).toMatchObject({
      kind: 'change-store',
      next: { proposal: { by: 'n1' }, rule: null },
    });
    expect(decided({ ...world, state: claimed })[0]?.action).toMatchObject({ kind: 'change-store', next: { systemId: '42' } });
    expect(kinds({ ...world, state: { ...claimed, systemId: '42' } })).toEqual(['copy-source']);
    expect(kinds({ ...world, state: claimed, source: UNREACHABLE })).toEqual(['source-unreachable']);
    expect(kinds({ ...world, self: 'n2', state: claimed })).toEqual([]);
  });

  test('is led by the member that has the copy, and makes no data of its own', () => {
    const stopped = { kind: 'stopped', cleanShutdown: false, timeline: 4, checkpointLsn: 900n, crashed: false } as const;
    const state = { ...claimed, systemId: '42' };
    const next = nextRule({ ...world, servers: { ...absent, n1: stopped }, state, reported: { n2: none, n3: none } });
    expect(next).toMatchObject({ term: 2, primary: 'n1', cohort: [], acks: 0, established: true });
  });
});

describe('a promotion', () => {
  const newest = { timeline: 4, lsn: 1500n, ageMs: 2000 };
  const source = (change: Partial<SourceReport> = {}): SourceReport => ({
    servers: [],
    faults: [],
    ageMs: 100,
    newest,
    primarySeenMs: null,
    endsWithShutdown: null,
    ...change,
  });
  const heardOf = (of: SourceReport | null, server: ServerReport = replica({ replayedCommitAtMs: 77 })) =>
    new Map([
      ['n1', report('n1', server, { source: of })],
      ['n2', report('n2', fed('n2'))],
    ]);
  const state = stateOf(STANDBY);
  const judge = (of: SourceReport | null, wish = PLAIN_PROMOTION) => judgePromotion(state, heardOf(of), wish);
  const living = source({ servers: [{ host: 'a.test', port: 5432, role: 'primary', timeline: 4, lsn: 1500n }] });

  test('is refused while the source takes writes, whatever loss is accepted', () => {
    expect(judge(living)).toMatchObject({ kind: 'refused', why: expect.stringContaining('a.test:5432') });
    expect(judge(living, { ...PLAIN_PROMOTION, acceptDataLoss: true }).kind).toBe('refused');
    expect(judge(living, { ...PLAIN_PROMOTION, split: true })).toMatchObject({ kind: 'ready', loss: 'split' });
  });

  test('loses nothing when the last record here is that of a clean shutdown', () => {
    expect(judge(source({ endsWithShutdown: true }))).toMatchObject({ kind: 'ready', loss: 'nothing-lost' });
    expect(judge({ ...living, endsWithShutdown: true }).kind).toBe('refused');
    // A switchover at the source begins in the same way.
    const recent = source({ endsWithShutdown: true, primarySeenMs: 1000 });
    expect(judge(recent).kind).toBe('wait');
    expect(judge(recent, { ...PLAIN_PROMOTION, acceptDataLoss: true }).kind).toBe('wait');
  });

  test('waits for proof, and for WAL that a replica of the source still has', () => {
    expect(judge(source()).kind).toBe('wait');
    const left = source({ servers: [{ host: 'b.test', port: 5432, role: 'replica', timeline: 4, lsn: 1200n }] });
    expect(judge(left)).toMatchObject({ kind: 'wait', why: expect.stringContaining('b.test:5432') });
    expect(judge(source({ ageMs: null })).kind).toBe('wait');
    expect(judge(source({ ageMs: 11_000, endsWithShutdown: true })).kind).toBe('wait');
    expect(judge(null).kind).toBe('wait');
    // It was looked at as it is, and nothing comes any more.
    expect(judge(source({ endsWithShutdown: false })).kind).toBe('refused');
    expect(judgePromotion(state, heardOf(source({ endsWithShutdown: false }), fed('leader')), PLAIN_PROMOTION).kind).toBe('wait');
  });

  test('says how far behind it is, from what any member has seen', () => {
    const verdict = judge(source(), { ...PLAIN_PROMOTION, acceptDataLoss: true });
    expect(verdict).toMatchObject({
      kind: 'ready',
      loss: 'unknown',
      gap: { leader: 'n1', behindBytes: 500, knownMs: 2000, lastCommitAtMs: 77 },
    });
    expect(judge(source({ newest: null }), { ...PLAIN_PROMOTION, acceptDataLoss: true })).toMatchObject({ gap: { behindBytes: null } });
  });

  test('is nothing for a cluster that takes writes', () =>
    expect(judgePromotion(stateOf(), heardOf(null), PLAIN_PROMOTION).kind).toBe('refused'));

  test('begins an ordinary election, on a timeline that the source does not come to soon', () => {
    const next = promotedState(state, heardOf(source({ newest: { ...newest, timeline: 6 } })), 5);
    expect(next).toMatchObject({ standby: null, proposal: { term: 9, trigger: 'promotion' }, rule: { term: 8, primary: 'n1', acks: 0 } });
    expect(next.rule!.timeline).toBeGreaterThanOrEqual(16);
    // Only with the leader, which alone is known to hold everything, can it end.
    const end = (withLeader: boolean) => {
      const isolated = (id: MemberId) => report(id, replica(), { promisedTerm: 9 });
      const reports = [...(withLeader ? [isolated('n1')] : []), isolated('n2'), isolated('n3')];
      const local = { promisedTerm: 9, seen: { proposalAtMs: NOW - 1000, ruleAtMs: 0, intentAtMs: 0, leadingAtMs: 0 } };
      return decide(viewOf({ self: 'n2', state: next, reports, local }), NOW).flatMap(({ action }) =>
        action.kind === 'change-store' ? [action.next.rule] : [],
      );
    };
    expect(end(false)).toEqual([]);
    expect(end(true)[0]).toMatchObject({ term: 9, primary: 'n1', cohort: ['n2', 'n3'], acks: 1, established: false });
    expect(end(true)[0]!.timeline).toBe(next.rule!.timeline + 1);
  });
});

test('a demotion names the primary as the leader of a new term, in which nobody acknowledges', () => {
  const next = demotedState(stateOf(), SOURCE, 5);
  expect(next).toMatchObject({ standby: { source: SOURCE, sinceMs: 5 }, intent: null });
  expect(next.rule).toEqual({ ...LED, term: 8 });
});

test('a leader that is to leave is followed by another one, and leaves then', () => {
  const members = { ...stateOf().members, n1: { ...stateOf().members['n1']!, lifecycle: 'leaving' as const } };
  expect(nextRule({ self: 'n2', state: { members } })?.primary).toBe('n2');
  expect(kinds({ self: 'n1', state: { members, rule: { ...LED, primary: 'n2' } } })).toEqual(['leave']);
});
