import { describe, expect, test } from 'vitest';
import type { ClusterState, Rule } from '@understudy/core/cluster';
import { FactKeeper } from '../../src/agent/facts.ts';
import type { Observation } from '../../src/postgres/index.ts';
import { reportOf, threeMembers } from '../store/fixture.ts';

const RULE: Rule = { term: 7, primary: 'n1', cohort: ['n2', 'n3'], acks: 1, timeline: 4, established: true, before: [] };
const NAMES = 'ANY 1 (n2_t7, n3_t7)';

const stateOf = (change: Partial<ClusterState> = {}): ClusterState => ({ ...threeMembers(), rule: RULE, ...change });

type Seen<Kind> = Extract<Observation, { kind: Kind }>;

const common = { systemId: '42', startedAtMs: 0, serverVersion: 180_000, slots: [], timeline: 4, history: [] };

const asPrimary = (change: Partial<Seen<'primary'>> = {}): Observation =>
  ({
    ...common,
    kind: 'primary',
    insertLsn: 1100n,
    flushLsn: 1000n,
    senders: [],
    synchronousNames: NAMES,
    synchronousNamesInForce: true,
    ...change,
  }) as Observation;

const asReplica = (change: Partial<Seen<'replica'>> = {}): Observation =>
  ({
    ...common,
    kind: 'replica',
    receiveLsn: 1000n,
    replayLsn: 1000n,
    walEnd: null,
    receiver: null,
    replayPaused: false,
    followsAs: null,
    source: null,
    synchronousNames: '',
    ...change,
  }) as Observation;

const sender = (applicationName: string, state = 'streaming') => ({
  applicationName,
  state,
  sentLsn: null,
  writeLsn: null,
  flushLsn: null,
  replayLsn: null,
  syncPriority: 1,
});

function keeper(self = 'n1', state: ClusterState = stateOf()): FactKeeper {
  const facts = new FactKeeper(self, 100);
  facts.noteState(state, 200);
  return facts;
}

const local = (facts: FactKeeper) => facts.local(7, false);

describe('since when the state is known', () => {
  test('counts from the first sight of each term and wish, not from every change', () => {
    const facts = keeper();
    const proposal = { term: 8, by: 'n2', trigger: 'operator', atMs: 0, noticedMs: 0 } as const;
    const intent = { kind: 'switchover', id: 'w', to: 'n2', fromTerm: 7, atMs: 0 } as const;
    facts.noteState(stateOf({ proposal }), 300);
    facts.noteState(stateOf({ proposal, intent }), 400);
    facts.noteState(stateOf({ proposal, intent, paused: { atMs: 1 } }), 500);
    expect(local(facts).seen).toEqual({ proposalAtMs: 300, ruleAtMs: 200, intentAtMs: 400, leadingAtMs: 100 });
    facts.noteState(stateOf({ rule: { ...RULE, term: 8 }, proposal }), 600);
    expect(local(facts).seen).toEqual({ proposalAtMs: 300, ruleAtMs: 600, intentAtMs: 600, leadingAtMs: 100 });
  });

  test('before anything is known, counts from the start', () => {
    const { seen, startedAtMs, leaseSentAtMs } = local(new FactKeeper('n1', 100));
    expect([startedAtMs, leaseSentAtMs, seen]).toEqual([100, 100, { proposalAtMs: 100, ruleAtMs: 100, intentAtMs: 100, leadingAtMs: 100 }]);
  });
});

describe('what the primary reports', () => {
  const leading = (flushLsn: bigint, timeline = 4) => reportOf('n1', { server: asPrimary({ flushLsn, timeline }) as Seen<'primary'> });

  test('keeps the furthest flush of the term, and when it last led', () => {
    const facts = keeper('n2');
    facts.noteReport(leading(1000n), 300);
    facts.noteReport(leading(900n), 400);
    expect(local(facts)).toMatchObject({ primaryFlush: { term: 7, lsn: 1000n }, seen: { leadingAtMs: 400 } });
  });

  test('of another timeline, or of a member that does not lead, says nothing', () => {
    const facts = keeper('n2');
    facts.noteReport(leading(1000n, 3), 300);
    facts.noteReport({ ...leading(1000n), id: 'n3' }, 300);
    expect(local(facts)).toMatchObject({ primaryFlush: null, seen: { leadingAtMs: 100 } });
  });

  test('in a new term counts anew, lower or not', () => {
    const facts = keeper('n2');
    facts.noteReport(leading(1000n), 300);
    facts.noteState(stateOf({ rule: { ...RULE, term: 8 } }), 400);
    facts.noteReport(leading(500n), 500);
    expect(local(facts).primaryFlush).toEqual({ term: 8, lsn: 500n });
  });
});

describe('who streams', () => {
  test('is seen by the primary, under the present term only', () => {
    const facts = keeper();
    facts.noteObservation(asPrimary({ senders: [sender('n2_t7'), sender('n3_t6'), sender('n4_t7', 'catchup'), sender('stranger')] }), 300);
    expect(local(facts).streamedAtMs).toEqual({ n2: 300 });
    facts.noteObservation(asPrimary(), 400);
    expect(local(facts).streamedAtMs).toEqual({ n2: 300 });
  });

  test('is forgotten with the term', () => {
    const facts = keeper();
    facts.noteObservation(asPrimary({ senders: [sender('n2_t7')] }), 300);
    facts.noteState(stateOf({ rule: { ...RULE, term: 8 } }), 400);
    expect(local(facts).streamedAtMs).toEqual({});
  });

  test.each([
    ['n2_t7', true, { n2: 300 }],
    ['n2_t6', true, {}],
    ['n2_t7', false, {}],
  ])('a replica knows of itself: as %s, streaming %s', (applicationName, streaming, expected) => {
    const facts = keeper('n2');
    facts.noteObservation(asReplica({ receiver: { applicationName, streaming, lastMessageAgeMs: 1 } }), 300);
    expect(local(facts).streamedAtMs).toEqual(expected);
  });

  test('is not handed out to be changed', () => {
    const facts = keeper();
    const before = local(facts).streamedAtMs;
    facts.noteObservation(asPrimary({ senders: [sender('n2_t7')] }), 300);
    expect(before).toEqual({});
  });
});

describe('synchronous names', () => {
  const since = (facts: FactKeeper) => local(facts).namesInForceSince;

  test('are in force since the flushed position at which they were first seen', () => {
    const facts = keeper();
    facts.noteObservation(asPrimary(), 300);
    facts.noteObservation(asPrimary({ flushLsn: 2000n }), 400);
    expect(since(facts)).toEqual({ names: NAMES, lsn: 1000n });
    facts.noteObservation(asPrimary({ flushLsn: 3000n, synchronousNames: '' }), 500);
    expect(since(facts)).toEqual({ names: '', lsn: 3000n });
    facts.noteObservation(asPrimary({ flushLsn: 4000n }), 600);
    expect(since(facts)).toEqual({ names: NAMES, lsn: 4000n });
  });

  test.each<[string, (facts: FactKeeper) => void]>([
    ['not every walsender has read them', facts => facts.noteObservation(asPrimary({ synchronousNamesInForce: false }), 400)],
    ['the server is a replica', facts => facts.noteObservation(asReplica(), 400)],
    ['the postmaster has ended', facts => facts.noteServerLife()],
  ])('are not in force any more when %s', (_what, happen) => {
    const facts = keeper();
    facts.noteObservation(asPrimary(), 300);
    happen(facts);
    expect(since(facts)).toBeNull();
    facts.noteObservation(asPrimary({ flushLsn: 5000n }), 500);
    expect(since(facts)?.lsn).toBe(5000n);
  });
});

test('a primary is open in the term that was confirmed, for one life of its server', () => {
  const facts = keeper();
  facts.noteConfirmed(7);
  expect(facts.openTerm).toBeNull();
  facts.noteOpen(7, 1000n, 5);
  expect([facts.openTerm, local(facts).open]).toEqual([null, { term: 7, barrierLsn: 1000n, confirmed: false, atWallMs: 5 }]);
  facts.noteConfirmed(6);
  expect(facts.openTerm).toBeNull();
  facts.noteConfirmed(7);
  expect(facts.openTerm).toBe(7);
  facts.noteServerLife();
  expect([facts.openTerm, local(facts).open]).toEqual([null, null]);
});

test('the lease counts from the latest renewal sent, in whichever order the answers come', () => {
  const facts = keeper();
  facts.noteLease(500);
  facts.noteLease(300);
  expect(local(facts).leaseSentAtMs).toBe(500);
});

test('routers have drained for the wish that stands, not for another', () => {
  const intent = { kind: 'switchover', id: 'w', to: 'n2', fromTerm: 7, atMs: 0 } as const;
  const facts = keeper();
  expect(local(facts).routersDrained).toBe(false);
  facts.noteDrained('w');
  expect(local(facts).routersDrained).toBe(false);
  facts.noteState(stateOf({ intent }), 300);
  expect(local(facts).routersDrained).toBe(true);
  facts.noteState(stateOf({ intent: { ...intent, id: 'x' } }), 400);
  expect(local(facts).routersDrained).toBe(false);
});

test('repairs are counted until one succeeds, or the member streams or leads', () => {
  const none = { attempts: 0, lastAtMs: 0, fault: 'unknown' };
  const twice = (): FactKeeper => {
    const facts = keeper('n2');
    facts.noteRepair('failed', 300);
    facts.noteRepair('failed', 400, 'surroundings');
    expect(local(facts).repair).toEqual({ attempts: 2, lastAtMs: 400, fault: 'surroundings' });
    return facts;
  };
  const repaired = twice();
  repaired.noteRepair('done', 500);
  expect(local(repaired).repair).toEqual(none);

  const receiver = { applicationName: 'n2_t7', streaming: true, lastMessageAgeMs: 0 };
  const following = twice();
  following.noteObservation(asReplica({ receiver: { ...receiver, applicationName: 'n2_t6' } }), 500);
  following.noteObservation(asReplica({ receiver: { ...receiver, streaming: false } }), 500);
  expect(local(following).repair.attempts).toBe(2);
  following.noteObservation(asReplica({ receiver }), 500);
  expect(local(following).repair).toEqual(none);

  const leading = twice();
  leading.noteObservation(asPrimary(), 500);
  expect(local(leading).repair).toEqual(none);
});

test('of the slots only ours are known, and none of an earlier life', () => {
  const facts = keeper();
  const slot = (name: string, kind: 'physical' | 'logical') => ({ name, kind }) as Observation['slots'][number];
  facts.noteObservation(
    asPrimary({ slots: [slot('understudy_n2', 'physical'), slot('backup', 'physical'), slot('understudy_x', 'logical')] }),
    300,
  );
  expect(local(facts).slots).toEqual(['understudy_n2']);
  facts.noteServerLife();
  expect(local(facts).slots).toBeNull();
});

describe('slots', () => {
  const slot = (name: string, change: Partial<Observation['slots'][number]> = {}) =>
    ({ name, kind: 'physical', active: false, restartLsn: 1n, walStatus: 'reserved', failover: false, synced: false, ...change }) as const;
  const feed = slot('feed', { kind: 'logical', failover: true });

  test('of ours are known, but not one that has lost its WAL, nor those of others', () => {
    const facts = keeper();
    facts.noteObservation(
      asPrimary({ slots: [slot('understudy_n2'), slot('understudy_n3', { walStatus: 'lost' }), slot('barman'), feed] }),
      300,
    );
    expect(local(facts)).toMatchObject({ slots: ['understudy_n2'], leftoverSlots: [] });
  });

  test('that a replica kept from its own time as a primary are told from copies of the primary’s', () => {
    const facts = keeper('n2');
    const copy = slot('copy', { kind: 'logical', failover: true, synced: true });
    facts.noteObservation(asReplica({ slots: [feed, copy, slot('local', { kind: 'logical' })] }), 300);
    expect(local(facts).leftoverSlots).toEqual(['feed']);
  });
});

describe('a cascading replica', () => {
  const members = threeMembers().members;
  const state = stateOf({ members: { ...members, n3: { ...members['n3']!, follows: 'n2' } } });
  const streams = (applicationName: string) =>
    asReplica({ followsAs: applicationName, receiver: { applicationName, streaming: true, lastMessageAgeMs: 1 } }) as Seen<'replica'>;

  test('remembers when its upstream last streamed under this term, and since when it follows whom it does', () => {
    const facts = keeper('n3', state);
    expect(local(facts).cascade).toEqual({ upstreamAtMs: 100, sinceMs: 100 });
    facts.noteReport(reportOf('n2', { server: streams('n2_t6') }), 300);
    facts.noteReport(reportOf('n1', { server: streams('n1_t7') }), 310);
    expect(local(facts).cascade.upstreamAtMs).toBe(100);
    facts.noteReport(reportOf('n2', { server: streams('n2_t7') }), 320);
    for (const [name, atMs] of [
      ['n3_t7_from_n2', 400],
      ['n3_t7_from_n2', 500],
    ] as const)
      facts.noteObservation(streams(name), atMs);
    expect(local(facts)).toMatchObject({ cascade: { upstreamAtMs: 320, sinceMs: 400 }, streamedAtMs: { n3: 500 } });
    facts.noteObservation(streams('n3_t6_from_n2'), 600);
    expect(local(facts)).toMatchObject({ cascade: { sinceMs: 600 }, streamedAtMs: { n3: 500 } });
  });
});
