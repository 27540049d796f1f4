import { expect, test } from 'vitest';
import { type AckRule, mayElect, type Rule, suffices } from '../../src/cluster/index.ts';

const IDS = ['n1', 'n2', 'n3', 'n4', 'n5'];

function subsets(ids: readonly string[]): readonly (readonly string[])[] {
  let all: (readonly string[])[] = [[]];
  for (const id of ids) all = all.concat(all.map(set => [...set, id]));
  return all;
}

/** By the meaning: with whichever replicas a commit was acknowledged, one that holds it is recruited. */
function sufficesByMeaning(rule: AckRule, recruits: ReadonlySet<string>): boolean {
  if (recruits.has(rule.primary)) return true;
  const acknowledging = subsets(rule.cohort).filter(set => set.length === rule.acks);
  return acknowledging.every(set => set.some(id => recruits.has(id)));
}

function everyRule(term: number): readonly AckRule[] {
  return IDS.flatMap(primary =>
    subsets(IDS.filter(id => id !== primary)).flatMap(cohort =>
      [...Array(cohort.length + 1).keys()]
        .filter(acks => (acks === 0) === (cohort.length === 0))
        .map(acks => ({ term, primary, cohort, acks })),
    ),
  );
}

test('recruits suffice exactly when they meet every set that can have acknowledged', () => {
  const rules = everyRule(7);
  expect(rules.length).toBeGreaterThan(100);
  for (const rule of rules) {
    for (const recruits of subsets(IDS)) {
      const set = new Set(recruits);
      expect([rule, recruits, suffices(rule, set)]).toEqual([rule, recruits, sufficesByMeaning(rule, set)]);
    }
  }
});

test('what can still acknowledge without the recruits is always too little', () => {
  for (const rule of everyRule(7)) {
    for (const recruits of subsets(IDS)) {
      const set = new Set(recruits);
      if (set.has(rule.primary) || !suffices(rule, set)) continue;
      expect(rule.cohort.filter(id => !set.has(id)).length).toBeLessThan(rule.acks);
    }
  }
});

const older: AckRule = { term: 5, primary: 'n1', cohort: ['n2', 'n3'], acks: 1 };
const middle: AckRule = { term: 6, primary: 'n2', cohort: ['n3', 'n4'], acks: 1 };
const newest: Rule = { term: 7, primary: 'n5', cohort: ['n4'], acks: 1, timeline: 4, established: false, before: [older, middle] };

test.each([
  { recruits: ['n5'], may: true, why: 'the primary of the newest rule was elected with all that was acknowledged before' },
  { recruits: ['n4'], may: false, why: 'n3 and n2 may have acknowledged in term 6' },
  { recruits: ['n3', 'n4'], may: false, why: 'of term 5, n2 alone may hold a commit' },
  { recruits: ['n2', 'n4'], may: true, why: 'n2 was elected for term 6 with all of term 5' },
  { recruits: ['n1', 'n3', 'n4'], may: true, why: 'all three terms are covered' },
  { recruits: ['n1', 'n2', 'n3'], may: false, why: 'nobody of the newest rule' },
])('before the newest rule is established, $recruits: $may, since $why', ({ recruits, may }) => {
  expect(mayElect(newest, new Set(recruits))).toBe(may);
});

test('an established rule is all that counts', () => {
  const established = { ...newest, established: true, before: [] };
  for (const recruits of subsets(IDS)) {
    const set = new Set(recruits);
    expect(mayElect(established, set)).toBe(suffices(established, set));
  }
});

test('more recruits never elect less', () => {
  for (const recruits of subsets(IDS)) {
    for (const id of IDS) {
      if (mayElect(newest, new Set(recruits))) expect(mayElect(newest, new Set([...recruits, id]))).toBe(true);
    }
  }
});
