import { describe, expect, it } from 'vitest';
import type { ClusterState, MemberReport, ServerReport } from '../../src/cluster/index.ts';
import { type Action, decide } from '../../src/failover/index.ts';
import { HISTORY, healthy, NOW, primary, replica, report, RULE, spec, streaming, type ViewParts, viewOf } from './view-builder.ts';

const actions = (parts: ViewParts): readonly Action[] => decide(viewOf(parts), NOW).map(({ action }) => action);
const kinds = (parts: ViewParts): readonly string[] =>
  actions(parts).map(action => (action.kind === 'alarm' ? `alarm ${action.code}` : action.kind));

/** The store's next state that the first decision asks for. */
function nextState(parts: ViewParts): ClusterState {
  const action = actions(parts)[0];
  if (action?.kind !== 'change-store') throw new Error(`expected change-store, got ${action?.kind}`);
  return action.next;
}

const stopped = (crashed: boolean, timeline = 4): ServerReport => ({
  kind: 'stopped',
  cleanShutdown: !crashed,
  timeline,
  checkpointLsn: 990n,
  crashed,
});
const ELECTION = { proposal: { term: 8, by: 'n2', trigger: 'primary-lost', atMs: 0, noticedMs: 0 } } as const;
const recruit = (id: string, change: Parameters<typeof replica>[0] = {}): MemberReport => report(id, replica(change), { promisedTerm: 8 });

describe('a healthy cluster', () => {
  it('wants nothing of anybody', () => {
    for (const self of ['n1', 'n2', 'n3']) expect(kinds({ self, reports: healthy() })).toEqual([]);
  });

  it('loses its store, and nobody is demoted or called dead', () => {
    for (const self of ['n1', 'n2']) {
      const silentMs = { n1: self === 'n1' ? 0 : 20_000, n2: self === 'n2' ? 0 : 20_000, n3: 20_000 };
      expect(kinds({ self, reports: healthy(), silentMs, storeHeardAtMs: NOW - 20_000, local: { leaseSentAtMs: NOW - 20_000 } })).toEqual(
        [],
      );
    }
  });

  it('keeps a slot for each other member, and drops those of members that are gone', () => {
    const local = { slots: ['understudy_n2', 'understudy_n9'] };
    expect(actions({ self: 'n1', reports: healthy(), local })).toEqual([
      { kind: 'slots', ensure: ['understudy_n2', 'understudy_n3'], drop: ['understudy_n9'] },
    ]);
  });
});

describe('a logical failover slot from the time when this replica was the primary', () => {
  const local = { slots: ['understudy_n1', 'understudy_n3'], leftoverSlots: ['feed'] };
  const drops = (failoverSlots: readonly string[], server = streaming('n2')) =>
    actions({ self: 'n2', reports: healthy({ n1: primary({ failoverSlots }), n2: server }), local }).flatMap(action =>
      action.kind === 'slots' ? action.drop : [],
    );

  it('is dropped once this replica streams from a primary that has the slot', () => {
    expect(drops(['feed'])).toEqual(['feed']);
  });

  it('is kept while the primary has none of that name, and while this replica does not stream', () => {
    expect(drops([])).toEqual([]);
    expect(drops(['feed'], replica({ followsAs: 'n2_t7' }))).toEqual([]);
  });
});

describe('the trigger', () => {
  it('is pulled at once by the agent of a primary whose PostgreSQL has exited', () => {
    const next = nextState({ self: 'n1', reports: healthy({ n1: stopped(true) }) });
    expect(next.proposal).toMatchObject({ term: 8, by: 'n1', trigger: 'primary-exited' });
  });

  it.each([
    ['hangs for less than the timeout', { kind: 'unresponsive', forMs: 1400, was: 'primary' }, []],
    ['hangs', { kind: 'unresponsive', forMs: 1500, was: 'primary' }, ['change-store']],
    ['has a full disk', { kind: 'failing', forMs: 1500, was: 'primary', fault: 'disk-full' }, ['change-store']],
    ['has lost its data', { kind: 'absent' }, ['change-store']],
  ] as const)('when the primary %s', (_name, server, expected) => {
    expect(kinds({ self: 'n1', reports: healthy({ n1: server }) })).toEqual(expected);
  });

  it('is pulled by another when the primary is silent and nobody streams from it', () => {
    const reports = healthy({ n2: replica({ followsAs: 'n2_t7' }), n3: replica({ followsAs: 'n3_t7' }) });
    expect(nextState({ self: 'n2', reports, silentMs: { n1: 2000 } }).proposal).toMatchObject({ term: 8, trigger: 'primary-lost' });
  });

  it('is vetoed by a replica that still streams', () => {
    const reports = healthy({ n2: replica({ followsAs: 'n2_t7' }) });
    expect(kinds({ self: 'n2', reports, silentMs: { n1: 2000 } })).toEqual([]);
  });

  it('is not vetoed by a stream that carries nothing, nor by a member that is silent itself', () => {
    const dead = streaming('n3', { receiver: { applicationName: 'n3_t7', streaming: true, lastMessageAgeMs: 1500 } });
    const own = streaming('n2', { receiver: { applicationName: 'n2_t7', streaming: true, lastMessageAgeMs: 1500 } });
    expect(kinds({ self: 'n2', reports: healthy({ n2: own, n3: dead }), silentMs: { n1: 2000 } })).toEqual(['change-store']);
  });

  it('does not fence a live primary for an election that could not end', () => {
    const reports = healthy({ n1: { kind: 'unresponsive', forMs: 2000, was: 'primary' } });
    expect(kinds({ self: 'n1', reports, silentMs: { n2: 5000 } })).toEqual([]);
  });

  it('starts a primary anew that hangs for long, and that nobody can replace', () => {
    const after = (forMs: number): readonly string[] =>
      kinds({
        self: 'n1',
        reports: healthy({ n1: { kind: 'unresponsive', forMs, was: 'primary' } }),
        silentMs: { n2: 60_000, n3: 60_000 },
      });
    expect([after(14_900), after(15_000)]).toEqual([[], ['fence']]);
  });

  it('is blocked for a primary that still answers, soon after another failover', () => {
    const reports = healthy({ n1: { kind: 'failing', forMs: 2000, was: 'primary', fault: 'disk-full' } });
    const record = {
      term: 7,
      primary: 'n1',
      timeline: 4,
      trigger: 'primary-lost',
      reason: '',
      detectMs: 0,
      raisedAtMs: 0,
      electedAtMs: 0,
      promotedAtMs: 0,
      establishedAtMs: 0,
      lostBytes: 0,
    } as const;
    expect(kinds({ self: 'n1', reports, state: { history: [record] } })).toEqual(['alarm primary-failing']);
    expect(
      kinds({
        self: 'n1',
        reports,
        state: { history: [record] },
        local: { seen: { proposalAtMs: 1, ruleAtMs: 1, intentAtMs: 1, leadingAtMs: NOW } },
      }),
    ).toEqual(['change-store']);
  });
});

describe('an election', () => {
  it('makes a primary promise and fence itself, busy or not', () => {
    for (const busy of [false, true])
      expect(kinds({ self: 'n1', reports: healthy(), state: ELECTION, local: { busy } }).slice(0, 2)).toEqual(['promise', 'fence']);
  });

  it('makes a replica promise, then isolate itself, then say no more', () => {
    const local = { seen: { proposalAtMs: NOW - 10, ruleAtMs: 0, intentAtMs: 0, leadingAtMs: 0 } };
    const at = (server: ServerReport, promisedTerm: number): readonly string[] =>
      kinds({
        self: 'n3',
        reports: [report('n1', primary()), report('n2', streaming('n2')), report('n3', server, { promisedTerm })],
        state: ELECTION,
        local,
      });
    expect(at(streaming('n3'), 7)).toEqual(['promise', 'isolate']);
    expect(at(streaming('n3'), 8)).toEqual(['isolate']);
    expect(at(stopped(true), 8)).toEqual(['start-isolated']);
    expect(at({ kind: 'starting', sinceMs: 10 }, 8)).toEqual([]);
    expect(at(replica(), 8)).toEqual([]);
  });

  const silentMs = { n1: 5000 };

  it('chooses the recruit whose WAL goes furthest, on a timeline that nobody had', () => {
    const ahead = recruit('n3', { timeline: 6, walEnd: { timeline: 6, lsn: 900n, history: [] } });
    const next = nextState({ self: 'n2', reports: [report('n1', primary()), recruit('n2'), ahead], state: ELECTION, silentMs });
    expect(next.rule).toMatchObject({
      term: 8,
      primary: 'n3',
      timeline: 7,
      established: false,
      before: [{ term: 7, primary: 'n1', cohort: ['n2', 'n3'], acks: 1 }],
    });
    expect(next.history.at(-1)).toMatchObject({ term: 8, primary: 'n3', trigger: 'primary-lost', lostBytes: 0 });
  });

  it('breaks ties by priority, then by name', () => {
    const reports = [report('n1', primary()), recruit('n2'), recruit('n3')];
    expect(nextState({ self: 'n2', reports, state: ELECTION, silentMs }).rule).toMatchObject({ primary: 'n2', cohort: ['n3'], acks: 1 });
    const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3', { priority: 200 }) };
    expect(nextState({ self: 'n2', reports, state: { ...ELECTION, members }, silentMs }).rule).toMatchObject({
      primary: 'n3',
      cohort: ['n2'],
    });
  });

  it.each([
    ['promised another term', report('n3', replica(), { promisedTerm: 7 })],
    ['still follows', recruit('n3', { followsAs: 'n3_t7' })],
    ['still has a walreceiver', recruit('n3', { receiver: { applicationName: 'n3_t7', streaming: true, lastMessageAgeMs: 0 } })],
    ['still replays what it has', recruit('n3', { walEnd: null })],
    ['is being promoted', report('n3', replica(), { promisedTerm: 8, operation: { kind: 'promoting' } })],
    ['has half a clone', report('n3', { kind: 'absent' }, { promisedTerm: 8 })],
    ['belongs to another cluster', report('n3', replica(), { promisedTerm: 8, systemId: '43' })],
  ])('does not count a member that %s', (_name, third) => {
    expect(kinds({ self: 'n2', reports: [report('n1', primary()), recruit('n2'), third], state: ELECTION, silentMs })).toEqual([
      'alarm election-needs-members',
    ]);
  });

  it('needs the rules before the present one while that is not established', () => {
    const rule = {
      ...RULE,
      term: 7,
      primary: 'n3',
      cohort: ['n2'],
      established: false,
      before: [{ term: 6, primary: 'n1', cohort: ['n2', 'n3'], acks: 1 }],
    };
    const alone = [report('n1', primary()), recruit('n2'), report('n3', { kind: 'absent' }, { promisedTerm: 7 })];
    expect(kinds({ self: 'n2', reports: alone, state: { ...ELECTION, rule }, silentMs })).toEqual(['alarm election-needs-members']);
    const winner = [report('n1', primary()), report('n2', { kind: 'absent' }, { promisedTerm: 7 }), recruit('n3')];
    expect(nextState({ self: 'n3', reports: winner, state: { ...ELECTION, rule }, silentMs }).rule).toMatchObject({
      primary: 'n3',
      term: 8,
    });
  });

  it('passes over nofailover members, unless they alone hold the newest data: then a person decides', () => {
    const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3', { nofailover: true }) };
    const tie = [report('n1', primary()), recruit('n2'), recruit('n3')];
    expect(nextState({ self: 'n2', reports: tie, state: { ...ELECTION, members }, silentMs }).rule?.primary).toBe('n2');
    const ahead = [report('n1', primary()), recruit('n2'), recruit('n3', { walEnd: { timeline: 4, lsn: 1001n, history: [] } })];
    expect(kinds({ self: 'n2', reports: ahead, state: { ...ELECTION, members }, silentMs })).toEqual(['alarm only-nofailover-holds-data']);
  });

  it('accepts a clean stop as an answer, but does not promote it', () => {
    const reports = [report('n1', stopped(false), { promisedTerm: 8 }), recruit('n2'), report('n3', streaming('n3'))];
    expect(nextState({ self: 'n2', reports, state: { ...ELECTION, rule: { ...RULE, cohort: [], acks: 0 } } }).rule).toMatchObject({
      primary: 'n2',
    });
  });

  it('with acks 0 waits for the primary, or for the operator', () => {
    const rule = { ...RULE, cohort: [], acks: 0 };
    const reports = [report('n1', primary()), recruit('n2'), recruit('n3')];
    expect(kinds({ self: 'n2', reports, state: { ...ELECTION, rule }, silentMs })).toEqual(['alarm needs-accept-data-loss']);
    const intent = { kind: 'failover', id: 'x', to: 'n3', acceptDataLoss: true, fromTerm: 7, atMs: 0 } as const;
    expect(nextState({ self: 'n2', reports, state: { ...ELECTION, rule, intent }, silentMs })).toMatchObject({
      intent: null,
      rule: { primary: 'n3' },
    });
  });
});

describe('asynchronous durability', () => {
  const durability = { mode: 'async', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 100 } as const;
  const rule = { ...RULE, cohort: [], acks: 0 };
  const at = (lsn: bigint): readonly MemberReport[] => [
    report('n1', primary()),
    recruit('n2', { walEnd: { timeline: 4, lsn, history: [] } }),
    recruit('n3', { walEnd: { timeline: 4, lsn, history: [] } }),
  ];
  const state = { ...ELECTION, durability, rule };
  const local = { primaryFlush: { term: 7, lsn: 1000n } };

  it('elects within the bound and reports the loss to the byte', () => {
    const next = nextState({ self: 'n2', reports: at(950n), state, silentMs: { n1: 1300 }, local });
    expect(next.history.at(-1)).toMatchObject({ primary: 'n2', lostBytes: 50 });
  });

  it('elects nobody beyond the bound, nor before the lease must have ended', () => {
    expect(kinds({ self: 'n2', reports: at(850n), state, silentMs: { n1: 1300 }, local })).toEqual(['alarm needs-accept-data-loss']);
    expect(kinds({ self: 'n2', reports: at(950n), state, silentMs: { n1: 1200 }, local })).toEqual(['alarm needs-accept-data-loss']);
  });

  it('fences a primary whose renewal was sent longer ago than the lease', () => {
    const reports = healthy({ n1: primary({ synchronousNames: '' }) });
    const own = { durability, rule };
    expect(kinds({ self: 'n1', reports, state: own, local: { leaseSentAtMs: NOW - 999 } })).toEqual([]);
    expect(kinds({ self: 'n1', reports, state: own, local: { leaseSentAtMs: NOW - 1001 } })).toEqual(['fence']);
    expect(kinds({ self: 'n1', reports, state: { ...own, members: { n1: spec('n1') } }, local: { leaseSentAtMs: 0 } })).toEqual([]);
  });

  it('corrects the reported loss when the old primary comes back with more', () => {
    const history = [
      {
        term: 7,
        primary: 'n2',
        timeline: 5,
        trigger: 'primary-lost',
        reason: '',
        detectMs: 0,
        raisedAtMs: 0,
        electedAtMs: 0,
        promotedAtMs: 0,
        establishedAtMs: 0,
        lostBytes: 50,
      },
    ] as const;
    const leader = report('n2', primary({ timeline: 5, history: [{ timeline: 4, endLsn: 950n }], senders: [] }), { openTerm: 7 });
    const back = report('n1', replica({ walEnd: { timeline: 4, lsn: 1070n, history: [] } }));
    const next = nextState({
      self: 'n1',
      reports: [back, leader],
      state: { durability, history, rule: { ...rule, primary: 'n2', timeline: 5 } },
    });
    expect(next.history[0]?.lostBytes).toBe(120);
  });
});

describe('the winner', () => {
  const rule = {
    ...RULE,
    term: 7,
    primary: 'n2',
    cohort: ['n3'],
    timeline: 5,
    established: false,
    before: [{ term: 6, primary: 'n1', cohort: ['n2', 'n3'], acks: 1 }],
  };
  const self = 'n2';
  const with2 = (server: ServerReport): readonly MemberReport[] => [
    report('n1', stopped(true)),
    report('n2', server),
    report('n3', replica()),
  ];

  it('is promoted with its names and the timeline that the store gave out', () => {
    expect(actions({ self, reports: with2(replica()), state: { rule } })).toEqual([
      { kind: 'promote', term: 7, timeline: 5, synchronousNames: 'ANY 1 (n3_t7)' },
    ]);
  });

  it('never promotes onto a timeline that was begun before: that takes a new term', () => {
    const again = replica({ timeline: 5, walEnd: { timeline: 5, lsn: 1100n, history: [] } });
    expect(nextState({ self, reports: with2(again), state: { rule } }).proposal?.term).toBe(8);
  });

  const opened = {
    open: { term: 7, barrierLsn: 1100n, confirmed: false, atWallMs: 5 },
    seen: { proposalAtMs: NOW - 20, ruleAtMs: NOW - 10, intentAtMs: 0, leadingAtMs: NOW },
  };
  const leads = (flushLsn: bigint): ServerReport =>
    primary({ timeline: 5, flushLsn: 1100n, synchronousNames: 'ANY 1 (n3_t7)', senders: [{ ...primary().senders[1]!, flushLsn }] });

  it('notes its barrier, is established when the cohort has flushed it, and only then confirmed', () => {
    expect(kinds({ self, reports: with2(leads(0n)), state: { rule }, local: { open: null } })).toEqual(['begin-confirm']);
    expect(kinds({ self, reports: with2(leads(1099n)), state: { rule }, local: opened })).toEqual([]);
    expect(nextState({ self, reports: with2(leads(1100n)), state: { rule }, local: opened }).rule).toMatchObject({
      established: true,
      before: [],
    });
    expect(
      kinds({ self, reports: with2(leads(1100n)), state: { rule: { ...rule, established: true, before: [] } }, local: opened })[0],
    ).toBe('confirm');
  });
});

describe('a primary that stopped', () => {
  it('starts in its own term when nobody could take over', () => {
    const reports = healthy({ n1: stopped(true) });
    expect(actions({ self: 'n1', reports, silentMs: { n2: 9000, n3: 9000 } })).toEqual([
      { kind: 'start-primary', term: 7, synchronousNames: 'ANY 1 (n2_t7, n3_t7)' },
    ]);
  });

  it('starts in its own term after a clean stop', () => {
    expect(kinds({ self: 'n1', reports: healthy({ n1: stopped(false) }) })).toEqual(['start-primary']);
  });

  it('never starts as a primary once a newer term was asked for', () => {
    expect(kinds({ self: 'n1', reports: healthy({ n1: stopped(true) }), state: ELECTION, silentMs: { n2: 9000, n3: 9000 } })).toEqual([
      'promise',
      'alarm election-needs-members',
      'start-isolated',
    ]);
  });

  it('is fenced when another leads', () => {
    expect(kinds({ self: 'n1', reports: healthy(), state: { rule: { ...RULE, primary: 'n2', timeline: 5 } } })).toEqual(['fence']);
  });
});

describe('a replica', () => {
  const self = 'n3';
  const own = (server: ServerReport): readonly MemberReport[] => healthy({ n3: server });

  it('follows when its WAL is part of the history of the leader', () => {
    const behind = replica({ timeline: 2, walEnd: { timeline: 2, lsn: 500n, history: [] } });
    expect(actions({ self, reports: own(behind) })).toEqual([
      { kind: 'follow', from: 'n1', host: 'n1.test', port: 5432, applicationName: 'n3_t7', slot: 'understudy_n3' },
    ]);
  });

  it('connects to the elected member before that is promoted', () => {
    const state = { rule: { ...RULE, timeline: 5, established: false } };
    const asked = (elected: ServerReport, own: ServerReport = replica(), rule = state.rule): readonly string[] =>
      kinds({ self, state: { rule }, reports: healthy({ n1: elected, n3: own }) });
    expect(asked(replica())).toEqual(['follow']);
    expect(asked(replica({ receiveLsn: null }))).toEqual(['follow']);
    // It has the beginning of a record: what was flushed of that is no acknowledgement of what will be written in its place.
    expect(asked(replica({ receiveLsn: 1040n }))).toEqual([]);
    expect(asked(replica({ followsAs: 'n1_t6' }))).toEqual([]);
    expect(asked(replica(), replica({ walEnd: { timeline: 4, lsn: 1001n, history: HISTORY } }))).toEqual([]);
    expect(asked(replica(), replica({ walEnd: null }))).toEqual([]);
    expect(asked(replica(), replica({ followsAs: 'n3_t7' }))).toEqual([]);
    expect(asked(replica(), replica(), { ...state.rule, cohort: ['n2'] })).toEqual([]);
    expect(asked(replica(), replica(), { ...state.rule, established: true })).toEqual([]);
  });

  it('is rewound or cloned when its WAL goes past the fork', () => {
    const diverged = replica({ timeline: 2, walEnd: { timeline: 2, lsn: 501n, history: [] } });
    expect(actions({ self, reports: own(diverged) })[0]).toMatchObject({ kind: 'rejoin', primary: 'n1', fromLsn: 500n });
  });

  it('destroys nothing while the leader is not seen to lead', () => {
    const diverged = replica({ timeline: 2, walEnd: { timeline: 2, lsn: 501n, history: [] } });
    for (const server of [{ kind: 'absent' }, diverged] as const) {
      expect(kinds({ self, reports: own(server), silentMs: { n1: 1100 }, storeHeardAtMs: NOW - 1100 })).toEqual([]);
      expect(kinds({ self, reports: healthy({ n1: primary({ timeline: 3 }), n3: server }) })).toEqual([]);
    }
  });

  it('is cloned when it has no data, with a pause after each failure, and in the end an alarm', () => {
    expect(kinds({ self, reports: own({ kind: 'absent' }) })).toEqual(['clone']);
    expect(
      kinds({ self, reports: own({ kind: 'absent' }), local: { repair: { attempts: 2, lastAtMs: NOW - 900, fault: 'unknown' } } }),
    ).toEqual([]);
    expect(
      kinds({ self, reports: own({ kind: 'absent' }), local: { repair: { attempts: 5, lastAtMs: NOW - 9000, fault: 'unknown' } } }),
    ).toEqual(['clone', 'alarm repair-failed']);
  });

  it('that hangs may still acknowledge: it is started anew late, but at once when an election waits for it', () => {
    const silent = (forMs: number): readonly MemberReport[] => own({ kind: 'unresponsive', forMs, was: 'replica' });
    expect(kinds({ self, reports: silent(4999) })).toEqual([]);
    expect(kinds({ self, reports: silent(5000) })).toEqual(['fence']);
    const promised = (forMs: number): readonly MemberReport[] => [
      ...healthy().slice(0, 2),
      report('n3', { kind: 'unresponsive', forMs, was: 'replica' }, { promisedTerm: 8 }),
    ];
    const local = { promisedTerm: 8 };
    expect(kinds({ self, reports: promised(1499), state: ELECTION, local })).not.toContain('fence');
    expect(kinds({ self, reports: promised(1500), state: ELECTION, local })).toContain('fence');
  });

  it('that does not start is cloned in the end, but not when other data would not help', () => {
    const tried = (fault: 'unknown' | 'surroundings') => ({ repair: { attempts: 3, lastAtMs: NOW - 9000, fault } });
    expect(kinds({ self, reports: own(stopped(true)), local: tried('unknown') })).toEqual(['clone']);
    expect(kinds({ self, reports: own(stopped(true)), local: tried('surroundings') })).toEqual(['start-isolated']);
  });

  it('stops taking WAL under the name of another term', () => {
    expect(kinds({ self, reports: own(replica({ followsAs: 'n3_t6' })) })).toEqual(['isolate']);
  });

  it('with the data of another cluster is left alone', () => {
    const reports = [...healthy().slice(0, 2), report('n3', replica(), { systemId: '43', promisedTerm: 1 })];
    expect(kinds({ self, reports, state: ELECTION })).toEqual(['alarm foreign-data']);
  });
});

describe('the operator', () => {
  const switchover = (to: string | null) => ({ kind: 'switchover', id: 's', to, fromTerm: 7, atMs: 0 }) as const;

  it('pauses, and nothing at all is done, except that wishes are refused', () => {
    for (const n1 of [stopped(true), { kind: 'unresponsive', forMs: 9999, was: 'primary' } as const])
      for (const self of ['n1', 'n2', 'n3'])
        expect(kinds({ self, reports: healthy({ n1 }), state: { ...ELECTION, paused: { atMs: 0 } } })).toEqual([]);
    expect(nextState({ self: 'n2', reports: healthy(), state: { paused: { atMs: 0 }, intent: switchover('n2') } }).intent).toBeNull();
  });

  it('pauses, and still no second primary of an older term goes on without replicas', () => {
    const state = { paused: { atMs: 0 }, rule: { ...RULE, primary: 'n2', timeline: 5 } };
    expect(kinds({ self: 'n1', reports: healthy({ n1: primary({ synchronousNames: '' }) }), state })).toEqual(['fence']);
    expect(kinds({ self: 'n1', reports: healthy(), state })).toEqual([]);
  });

  const restart = (member: string, startedAtMs = 5) => ({ kind: 'restart', id: 'r', member, startedAtMs, fromTerm: 7, atMs: 0 }) as const;
  const living = (startedAtMs: number) => healthy().map(each => ({ ...each, startedAtMs }));

  it('orders the restart of a replica: shut down once routers had time to look elsewhere, done when another server streams', () => {
    const state = { intent: restart('n2') };
    expect(
      kinds({
        self: 'n2',
        reports: living(5),
        state,
        local: { seen: { proposalAtMs: 0, ruleAtMs: 0, intentAtMs: NOW, leadingAtMs: NOW } },
      }),
    ).toEqual([]);
    expect(kinds({ self: 'n2', reports: living(5), state })).toEqual(['shutdown']);
    expect(kinds({ self: 'n3', reports: living(5), state })).toEqual([]);
    expect(
      kinds({ self: 'n2', reports: living(5).map(each => (each.id === 'n2' ? { ...each, server: stopped(false) } : each)), state }),
    ).toEqual(['start-isolated']);
    const again = living(6).map(each => (each.id === 'n2' ? { ...each, server: replica() } : each));
    expect(kinds({ self: 'n2', reports: again, state })).toEqual(['follow']);
    expect(nextState({ self: 'n2', reports: living(6), state }).intent).toBeNull();
  });

  it('G2: is refused the restart of a replica without which nobody could acknowledge', () => {
    const silent = living(5).map(each => (each.id === 'n3' ? { ...each, server: streaming('n3', { receiver: null }) } : each));
    const parts = { self: 'n2', reports: silent, state: { intent: restart('n2') } };
    expect(nextState(parts).intent).toBeNull();
    expect(kinds({ ...parts, reports: living(5), silentMs: { n3: 5000 } })).toEqual(['change-store']);
  });

  it('an order of a later release is left to those who know it', () => {
    const later = { kind: 'rebalance', id: 'x', fromTerm: 7, atMs: 0 } as unknown as NonNullable<ClusterState['intent']>;
    for (const self of ['n1', 'n2', 'n3']) expect(kinds({ self, reports: healthy(), state: { intent: later } })).toEqual([]);
  });

  it('orders the restart of the primary: it drains, shuts down, starts in its own term, and only then is it done', () => {
    const state = { intent: restart('n1') };
    const seen = { proposalAtMs: 0, ruleAtMs: 0, intentAtMs: NOW, leadingAtMs: NOW };
    expect(kinds({ self: 'n1', reports: living(5), state, local: { seen } })).toEqual([]);
    expect(kinds({ self: 'n1', reports: living(5), state, local: { seen, routersDrained: true } })).toEqual(['shutdown']);
    const down = living(5).map(each => (each.id === 'n1' ? { ...each, server: stopped(false) } : each));
    expect(kinds({ self: 'n1', reports: down, state })).toEqual(['start-primary']);
    expect(kinds({ self: 'n1', reports: living(6), state, local: { open: null } })).toEqual(['begin-confirm']);
    expect(nextState({ self: 'n1', reports: living(6), state }).intent).toBeNull();
    expect(nextState({ self: 'n1', reports: living(5), state: { intent: restart('n9') } }).intent).toBeNull();
  });

  it('orders a switchover: the primary shuts down once drained, or after the deadline', () => {
    const at = (local: ViewParts['local']): readonly string[] =>
      kinds({ self: 'n1', reports: healthy(), state: { intent: switchover('n2') }, ...(local ? { local } : {}) });
    expect(at({ seen: { proposalAtMs: 0, ruleAtMs: 0, intentAtMs: NOW - 100, leadingAtMs: NOW } })).toEqual([]);
    expect(at({ routersDrained: true })).toEqual(['shutdown']);
    expect(at({})).toEqual(['shutdown']);
  });

  it('and then hands over', () => {
    const next = nextState({ self: 'n1', reports: healthy({ n1: stopped(false) }), state: { intent: switchover('n3') } });
    expect(next.proposal?.trigger).toBe('switchover');
  });

  it.each([
    ['does not exist', 'n9', {}],
    ['is the primary', 'n1', {}],
    ['must not lead', 'n2', { state: { members: { n1: spec('n1'), n2: spec('n2', { nofailover: true }), n3: spec('n3') } } }],
    ['does not answer', 'n2', { silentMs: { n2: 5000 } }],
  ] as const)('is refused a switchover to a member that %s', (_name, to, parts) => {
    const state = { ...('state' in parts ? parts.state : {}), intent: switchover(to) };
    const next = nextState({ self: 'n1', reports: healthy(), ...parts, state });
    expect([next.intent, next.proposal?.term]).toEqual([null, 7]);
  });

  it('orders a failover: at once if it can end, else it is refused', () => {
    const intent = { kind: 'failover', id: 'f', to: null, acceptDataLoss: false, fromTerm: 7, atMs: 0 } as const;
    expect(nextState({ self: 'n1', reports: healthy(), state: { intent } }).proposal).toMatchObject({ term: 8, trigger: 'operator' });
    const refused = nextState({ self: 'n1', reports: healthy(), state: { intent }, silentMs: { n2: 9000, n3: 9000 } });
    expect([refused.intent, refused.proposal?.term]).toEqual([null, 7]);
  });

  it('takes a member out: first of the cohort, then of the list', () => {
    const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3', { lifecycle: 'leaving' }) };
    expect(actions({ self: 'n1', reports: healthy(), state: { members } })).toEqual([
      { kind: 'set-synchronous-names', synchronousNames: 'ANY 1 (n2_t7)' },
    ]);
    expect(kinds({ self: 'n3', reports: healthy(), state: { members } })).toEqual([]);
    const rule = { ...RULE, cohort: ['n2'] };
    expect(kinds({ self: 'n3', reports: healthy(), state: { members, rule } })).toEqual(['leave']);
    const left = healthy({ n1: primary({ synchronousNames: 'ANY 1 (n2_t7)' }), n3: stopped(false) });
    expect(Object.keys(nextState({ self: 'n1', reports: left, state: { members, rule } }).members)).toEqual(['n1', 'n2']);
  });
});

describe('the cohort', () => {
  it('loses a replica that is away for too long: PostgreSQL first, then a barrier, then the store', () => {
    const local = { streamedAtMs: { n2: NOW, n3: NOW - 5001 } };
    expect(actions({ self: 'n1', reports: healthy(), local })).toEqual([
      { kind: 'set-synchronous-names', synchronousNames: 'ANY 1 (n2_t7)' },
    ]);
    const set = (lsn: bigint) => ({
      local: { ...local, namesInForceSince: { names: 'ANY 1 (n2_t7)', lsn } },
      reports: healthy({ n1: primary({ synchronousNames: 'ANY 1 (n2_t7)' }) }),
    });
    expect(kinds({ self: 'n1', ...set(1001n) })).toEqual([]);
    expect(nextState({ self: 'n1', ...set(1000n) }).rule?.cohort).toEqual(['n2']);
  });

  it('gains a replica that streams closely behind: the store first', () => {
    const reports = healthy({ n1: primary({ synchronousNames: 'ANY 1 (n2_t7)' }) });
    expect(nextState({ self: 'n1', reports, state: { rule: { ...RULE, cohort: ['n2'] } } }).rule?.cohort).toEqual(['n2', 'n3']);
  });

  it('with nobody left goes on without protection, or blocks, as was chosen', () => {
    const local = { streamedAtMs: {} };
    expect(nextState({ self: 'n1', reports: healthy({ n1: primary({ senders: [] }) }), local }).rule).toMatchObject({
      cohort: [],
      acks: 0,
    });
    const durability = { mode: 'quorum', acks: 1, whenAlone: 'block', acksFrom: 'any-zone', maxLossBytes: 0 } as const;
    expect(kinds({ self: 'n1', reports: healthy({ n1: primary({ senders: [] }) }), local, state: { durability } })).toEqual([
      'alarm writes-blocked',
    ]);
  });

  it('is left alone while its names are not in force everywhere', () => {
    const reports = healthy({ n1: primary({ synchronousNames: 'ANY 1 (n2_t7)', synchronousNamesInForce: false }) });
    expect(kinds({ self: 'n1', reports, state: { rule: { ...RULE, cohort: ['n2'] } } })).toEqual([]);
  });
});

describe('bootstrap', () => {
  const state = { rule: null, proposal: null, systemId: null } as const;
  const empty = (id: string): MemberReport => report(id, { kind: 'absent' }, { promisedTerm: 0, systemId: null });
  const reports = ['n1', 'n2', 'n3'].map(empty);
  const claimed = { ...state, proposal: { term: 1, by: 'n1', trigger: 'bootstrap', atMs: 0, noticedMs: 0 } } as const;

  it('is claimed by the first member, which then makes the data and leads', () => {
    expect(nextState({ self: 'n1', reports, state }).proposal).toMatchObject({ term: 1, by: 'n1' });
    expect(kinds({ self: 'n2', reports, state })).toEqual([]);
    expect(kinds({ self: 'n1', reports, state: claimed })).toEqual(['initdb']);
    const made = [report('n1', stopped(false, 1), { promisedTerm: 0 }), empty('n2'), empty('n3')];
    expect(nextState({ self: 'n1', reports: made, state: claimed })).toMatchObject({
      systemId: '42',
      rule: { term: 1, primary: 'n1', acks: 0, timeline: 1, established: true },
    });
  });

  it('makes nothing on an old view of the store', () => {
    expect(kinds({ self: 'n1', reports, state: claimed, storeHeardAtMs: NOW - 1001 })).toEqual([]);
  });

  it('asks a person when two members brought data', () => {
    const two = [report('n1', stopped(false, 1), { systemId: '1' }), report('n2', stopped(false, 1), { systemId: '2' }), empty('n3')];
    expect(kinds({ self: 'n1', reports: two, state })).toEqual(['alarm several-data-directories']);
  });
});
