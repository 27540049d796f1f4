import { expect, test } from 'vitest';
import { type ClusterState, eventsOfChange, type EventKind, type Proposal, type TermRecord } from '../../src/cluster/index.ts';
import { RULE, spec, stateOf } from '../failover/view-builder.ts';

const CAUSE = { by: 'n2', atMs: 42, reason: 'Because.', inputs: { seen: 1 } };
const PROPOSAL: Proposal = { term: 8, by: 'n2', trigger: 'primary-exited', atMs: 1, noticedMs: 30 };
const SWITCHOVER = { kind: 'switchover', id: 'w', to: 'n2', fromTerm: 7, atMs: 0 } as const;
const FAILOVER = { kind: 'failover', id: 'f', to: null, acceptDataLoss: false, fromTerm: 7, atMs: 0 } as const;
const NEXT = { ...RULE, term: 8, primary: 'n2', cohort: ['n3'], timeline: 5, established: false, before: [RULE] };

const record = (term: number, lostBytes: number): TermRecord => ({
  term,
  primary: 'n2',
  timeline: 5,
  trigger: 'primary-lost',
  reason: '',
  detectMs: null,
  raisedAtMs: 0,
  electedAtMs: 0,
  promotedAtMs: null,
  establishedAtMs: null,
  lostBytes,
});

const kinds = (before: ClusterState, after: ClusterState): readonly EventKind[] =>
  eventsOfChange(before, after, CAUSE).map(({ kind }) => kind);

const was = stateOf();
const unruled = stateOf({ rule: null, proposal: null });
const { n3: _n3, ...withoutN3 } = was.members;

test.each<[string, ClusterState, ClusterState, readonly EventKind[]]>([
  ['nothing', was, stateOf(), []],
  ['a higher term', was, stateOf({ proposal: PROPOSAL }), ['term-raised']],
  ['a proposal that goes', was, stateOf({ proposal: null }), []],
  ['the first rule', unruled, was, ['term-raised', 'cluster-created']],
  ['a new rule', was, stateOf({ rule: NEXT }), ['primary-elected']],
  ['a new rule, established at once', was, stateOf({ rule: { ...NEXT, established: true } }), ['primary-elected', 'primary-established']],
  [
    'the rule is established',
    stateOf({ rule: NEXT }),
    stateOf({ rule: { ...NEXT, established: true, before: [] } }),
    ['primary-established'],
  ],
  ['another cohort', was, stateOf({ rule: { ...RULE, cohort: ['n2'] } }), ['cohort-changed']],
  ['more acknowledgements', was, stateOf({ rule: { ...RULE, acks: 2 } }), ['cohort-changed']],
  ['nobody acknowledges', was, stateOf({ rule: { ...RULE, cohort: [], acks: 0 } }), ['cohort-changed', 'protection-lost']],
  ['somebody does again', stateOf({ rule: { ...RULE, cohort: [], acks: 0 } }), was, ['cohort-changed', 'protection-regained']],
  ['a new rule without protection', was, stateOf({ rule: { ...NEXT, cohort: [], acks: 0 } }), ['primary-elected', 'protection-lost']],
  ['a switchover is wished for', was, stateOf({ intent: SWITCHOVER }), ['switchover-requested']],
  ['a failover is wished for', was, stateOf({ intent: FAILOVER }), ['failover-requested']],
  ['a wish is refused', stateOf({ intent: SWITCHOVER }), was, ['intent-refused']],
  ['a wish is fulfilled', stateOf({ intent: SWITCHOVER }), stateOf({ rule: NEXT }), ['primary-elected', 'intent-done']],
  [
    'one wish makes way for another',
    stateOf({ intent: SWITCHOVER }),
    stateOf({ intent: FAILOVER }),
    ['failover-requested', 'intent-refused'],
  ],
  ['a pause', was, stateOf({ paused: { atMs: 1 } }), ['paused']],
  ['the end of a pause', stateOf({ paused: { atMs: 1 } }), was, ['resumed']],
  ['a longer pause', stateOf({ paused: { atMs: 1 } }), stateOf({ paused: { atMs: 2 } }), []],
  ['a member more', stateOf({ members: withoutN3 }), was, ['member-joined']],
  ['a member less', was, stateOf({ members: withoutN3 }), ['member-left']],
  ['a member that is to leave', was, stateOf({ members: { ...was.members, n3: spec('n3', { lifecycle: 'leaving' }) } }), []],
  ['a term that lost data', was, stateOf({ rule: NEXT, history: [record(8, 100)] }), ['primary-elected', 'data-lost']],
  ['a term that lost nothing', was, stateOf({ rule: NEXT, history: [record(8, 0)] }), ['primary-elected']],
  ['a phase of an old loss', stateOf({ history: [record(7, 100)] }), stateOf({ history: [{ ...record(7, 100), promotedAtMs: 1 }] }), []],
])('%s', (_what, before, after, expected) => {
  expect(kinds(before, after)).toEqual(expected);
});

test('an event tells who, when, why and by what', () => {
  expect(eventsOfChange(was, stateOf({ proposal: PROPOSAL }), CAUSE)).toEqual([
    {
      atMs: 42,
      kind: 'term-raised',
      member: 'n2',
      term: 8,
      message: 'Because.',
      inputs: { seen: 1, trigger: 'primary-exited', noticedMs: 30 },
    },
  ]);
  expect(eventsOfChange(was, stateOf({ rule: NEXT, history: [record(8, 100)] }), CAUSE).at(-1)).toMatchObject({
    kind: 'data-lost',
    member: 'n2',
    term: 8,
    inputs: { lostBytes: 100 },
  });
  expect(eventsOfChange(stateOf({ intent: SWITCHOVER }), was, CAUSE)).toMatchObject([{ inputs: { intent: 'w' } }]);
});

test('the order to restart a server is done when who takes it off the list has seen another one there', () => {
  const ordered = stateOf({ intent: { kind: 'restart', id: 'r', member: 'n2', startedAtMs: 5, fromTerm: 7, atMs: 0 } });
  const ends = (inputs: Readonly<Record<string, boolean>>): readonly EventKind[] =>
    eventsOfChange(ordered, was, { ...CAUSE, inputs }).map(({ kind }) => kind);
  expect(eventsOfChange(was, ordered, CAUSE)).toMatchObject([{ kind: 'restart-requested', member: 'n2', inputs: { intent: 'r' } }]);
  expect(ends({ restarted: true })).toEqual(['intent-done']);
  expect(ends({ restarted: false })).toEqual(['intent-refused']);
  expect(kinds(ordered, stateOf({ rule: NEXT }))).toEqual(['primary-elected', 'intent-refused']);
});
