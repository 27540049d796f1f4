import { describe, expect, it } from 'vitest';
import { eventsOfChange, type MemberId, type MemberReport } from '../../src/cluster/index.ts';
import { decide, type LocalFacts, releaseRefusal } from '../../src/failover/index.ts';
import { healthy, NOW, report, RULE, replica, spec, stateOf, viewOf } from './view-builder.ts';

const decideAs = (self: MemberId, done: readonly MemberId[], local: Partial<LocalFacts> = {}): ReturnType<typeof decide> =>
  decide(viewOf({ self, reports: healthy(), state: { released: { atMs: 0, done } }, local }), NOW);

describe('a cluster that is released', () => {
  it('begins with its primary: replicas wait for its rules', () => {
    expect(decideAs('n1', []).map(({ action }) => action.kind)).toEqual(['release']);
    expect(decideAs('n2', [])).toEqual([]);
    expect(decideAs('n2', ['n1']).map(({ action }) => action.kind)).toEqual(['release']);
  });

  it('says in the store what is done, and only then lets the server go', () => {
    const [said] = decideAs('n2', ['n1'], { isReleased: true });
    if (said?.action.kind !== 'change-store') throw new Error('it says nothing');
    expect(said.action.next.released?.done).toEqual(['n1', 'n2']);
    const before = stateOf({ released: { atMs: 0, done: ['n1'] } });
    const events = eventsOfChange(before, said.action.next, { by: 'n2', atMs: 0, reason: '', inputs: {} });
    expect(events.map(({ kind, member }) => [kind, member])).toEqual([['server-released', 'n2']]);
    expect(decideAs('n2', ['n1', 'n2']).map(({ action }) => action.kind)).toEqual(['end-release']);
  });

  it('decides nothing else: no election, no repair, no wish', () => {
    const gone = { n1: { kind: 'stopped', cleanShutdown: false, timeline: 4, checkpointLsn: 900n, crashed: true } } as const;
    const view = viewOf({ self: 'n2', reports: healthy(gone), state: { released: { atMs: 0, done: ['n1'] }, paused: null } });
    expect(decide({ ...view, local: { ...view.local, isReleased: true, busy: true } }, NOW)).toEqual([]);
    expect(decideAs('n1', ['n1', 'n2']).map(({ action }) => action.kind)).toEqual(['end-release']);
  });
});

describe('whether a cluster can be released', () => {
  const heard = (reports: readonly MemberReport[]): ReadonlyMap<MemberId, MemberReport> => new Map(reports.map(each => [each.id, each]));

  it('it can when every member does what it should', () => {
    expect(releaseRefusal(stateOf(), heard(healthy()))).toBeNull();
  });

  it.each([
    ['a member is away', stateOf(), healthy().slice(0, 2), 'n3 is not heard of; bring it back, or remove it'],
    ['a replica does not stream', stateOf(), healthy({ n2: replica() }), 'n2 is not streaming yet; bring it back, or remove it'],
    ['an election is under way', stateOf({ proposal: { ...stateOf().proposal!, term: 8 } }), healthy(), 'an election is under way'],
    [
      'its term is not established',
      stateOf({ rule: { ...RULE, established: false, before: [RULE] } }),
      healthy(),
      'an election is under way',
    ],
    [
      'a member is on its way out',
      stateOf({ members: { ...stateOf().members, n3: spec('n3', { lifecycle: 'leaving' }) } }),
      healthy(),
      'n3 is leaving',
    ],
    [
      'the primary is not open',
      stateOf(),
      [report('n1', healthy()[0]!.server), ...healthy().slice(1)],
      'n1 is not open yet; bring it back, or remove it',
    ],
  ])('it cannot when %s', (_what, state, reports, expected) => {
    expect(releaseRefusal(state, heard(reports))).toBe(expected);
  });
});
