import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClusterState, decodeState, encodeState, HISTORY_LIMIT, type TermRecord } from '../../src/cluster/index.ts';
import { parseClusterState } from '../../src/schemas/index.ts';
import { RULE, spec, stateOf } from '../failover/view-builder.ts';

const record: TermRecord = {
  term: 7,
  primary: 'n1',
  timeline: 4,
  trigger: 'primary-lost',
  reason: 'n2 was lost.',
  detectMs: 1500,
  raisedAtMs: 1,
  electedAtMs: 2,
  promotedAtMs: 3,
  establishedAtMs: null,
  lostBytes: 0,
};

const full: ClusterState = stateOf({
  rule: { ...RULE, established: false, before: [{ term: 6, primary: 'n2', cohort: ['n1'], acks: 1 }] },
  intent: { kind: 'failover', id: 'x', to: 'n2', acceptDataLoss: true, fromTerm: 7, atMs: 1 },
  paused: { atMs: 5 },
  history: [record],
});

describe('the text of a state', () => {
  test('gives the state back', () => {
    expect(parseClusterState(decodeState(encodeState(full)))).toEqual(full);
  });

  test('gives back any plain data, positions and strings that look like them included', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('lsn:', 'lsn:0/0', 'lsn:zz', 'text:', 'text:lsn:0/0', 'text:text:'));
    const leaf = fc.oneof(text, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.integer(), fc.boolean(), fc.constant(null));
    const value = fc.letrec<{ any: unknown }>(tie => ({
      any: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie('any')), fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie('any'))),
    })).any;
    fc.assert(
      fc.property(value, v => {
        expect(decodeState(encodeState({ v }))).toEqual({ v });
      }),
      { seed: 4 },
    );
  });
});

describe('a state from outside', () => {
  const refuses = (change: object): void => {
    expect(() => parseClusterState({ ...full, ...change })).toThrow();
  };

  test('is taken as it is when it is well formed', () => {
    expect(parseClusterState(full)).toEqual(full);
    expect(parseClusterState(stateOf({ rule: null, proposal: null, systemId: null }))).toBeDefined();
  });

  test('of an earlier release gets what that did not know', () => {
    const { applyDelayMs: _delay, follows: _follows, ...older } = spec('n2');
    const members = { ...full.members, n2: older };
    const { acksFrom: _acksFrom, ...durability } = full.durability;
    expect(parseClusterState({ ...full, members, durability })).toEqual(full);
  });

  test('of a later release keeps what this one does not know, wherever it stands', () => {
    const later = {
      ...full,
      quota: { bytes: 5n, of: ['n1'] },
      proposal: { ...full.proposal!, trigger: 'primary-too-hot', by: 'n1', degrees: 90 },
      rule: { ...full.rule!, witness: 'n3', before: full.rule!.before.map(rule => ({ ...rule, witness: null })) },
      members: { ...full.members, n2: { ...spec('n2'), colour: 'blue' } },
      intent: { kind: 'rebalance', id: 'x', fromTerm: 7, atMs: 0, share: 0.5 },
      durability: { ...full.durability, patience: 'long' },
      history: full.history.map(each => ({ ...each, trigger: 'primary-too-hot', degrees: 90 })),
    };
    expect(parseClusterState(later)).toEqual(later);
    expect(parseClusterState(decodeState(encodeState(later)))).toEqual(later);
  });

  test.each(Object.keys(full))('is refused without %s', key => {
    const { [key as keyof ClusterState]: _left, ...rest } = full;
    expect(() => parseClusterState(rest)).toThrow();
  });

  test.each([null, undefined, 7, 'text', [], {}])('is refused when it is %j', value => {
    expect(() => parseClusterState(value)).toThrow();
  });

  test.each<[string, object]>([
    ['another schema', { schema: 2 }],
    ['no name', { name: '' }],
    ['a system identifier that is no number', { systemId: '12x' }],
    ['a rule of term 0', { rule: { ...RULE, term: 0 } }],
    ['a rule with half an acknowledgement', { rule: { ...RULE, acks: 0.5 } }],
    ['a rule with a negative number of acknowledgements', { rule: { ...RULE, acks: -1 } }],
    ['a rule with a name that is none', { rule: { ...RULE, primary: 'N1' } }],
    ['a rule that counts its own primary', { rule: { ...RULE, cohort: ['n1', 'n2'] } }],
    ['a rule that asks for more than its cohort', { rule: { ...RULE, acks: 3 } }],
    ['an older rule that asks for more than its cohort', { rule: { ...RULE, before: [{ term: 6, primary: 'n2', cohort: [], acks: 1 }] } }],
    ['a proposal for no reason', { proposal: { term: 8, by: 'n1', trigger: '', atMs: 0, noticedMs: 0 } }],
    ['a member under the name of another', { members: { n1: spec('n2') } }],
    ['a member on port 0', { members: { n1: spec('n1', { port: 0 }) } }],
    ['a member with an unknown lifecycle', { members: { n1: { ...spec('n1'), lifecycle: 'gone' } } }],
    ['an intent of no kind', { intent: { kind: 'restart', id: 'x', to: null, fromTerm: 1, atMs: 0 } }],
    ['a durability of no kind', { durability: { ...full.durability, mode: 'hope' } }],
    ['a history without end', { history: Array.from({ length: HISTORY_LIMIT + 1 }, () => record) }],
  ])('is refused with %s', (_what, change) => {
    refuses(change);
  });

  test('is never accepted with a piece cut off', () => {
    const text = encodeState(full);
    for (let end = 0; end < text.length; end += 7) expect(() => parseClusterState(decodeState(text.slice(0, end)))).toThrow();
  });
});
