import { describe, expect, it } from 'vitest';
import { type AckSet, covers, nextCohortStep, parseSynchronousNames, synchronousNames, widensElection } from '../../src/failover/index.ts';

const MEMBERS = ['a', 'b', 'c', 'd'];

function subsets(items: readonly string[]): readonly (readonly string[])[] {
  const [first, ...rest] = items;
  if (first === undefined) return [[]];
  const without = subsets(rest);
  return [...without, ...without.map(set => [first, ...set])];
}

const ofSize = (items: readonly string[], size: number): readonly (readonly string[])[] =>
  subsets(items).filter(set => set.length === size);

/** By definition: who can acknowledge, and who can elect without the primary. */
const acknowledging = (set: AckSet): readonly (readonly string[])[] => ofSize(set.cohort, set.acks);
const electing = (set: AckSet): readonly (readonly string[])[] =>
  set.acks === 0 ? [] : ofSize(set.cohort, set.cohort.length - set.acks + 1);
const meets = (a: readonly string[], b: readonly string[]): boolean => a.some(id => b.includes(id));

const ALL: readonly AckSet[] = [
  { cohort: [], acks: 0 },
  ...subsets(MEMBERS.slice(0, 3)).flatMap(cohort => cohort.map((_, i) => ({ cohort, acks: i + 1 }))),
];

/** The state of a plan: both sets, and every set of replicas that some acknowledged commit may be held by alone. */
interface State {
  readonly store: AckSet;
  readonly postgres: AckSet;
  readonly holders: ReadonlySet<string>;
}

const text = (set: AckSet): string => `${set.acks}/${set.cohort.join('')}`;
const keyOf = ({ store, postgres, holders }: State): string => `${text(store)}|${text(postgres)}|${[...holders].sort().join()}`;

function violated({ store, holders }: State): string | null {
  for (const held of holders)
    for (const elect of electing(store)) if (!meets(held.split(''), elect)) return `${held} does not meet ${elect.join('')}`;
  return null;
}

/** While the names change, walsenders have the old ones or the new ones: any member of either may count, and the lower number suffices. */
function whileChanging(before: AckSet, after: AckSet): readonly (readonly string[])[] {
  const cohort = [...new Set([...before.cohort, ...after.cohort])];
  return ofSize(cohort, Math.min(before.acks, after.acks));
}

function apply(state: State, target: AckSet): State {
  const step = nextCohortStep(state.store, state.postgres, target);
  if (step.kind === 'done') return state;
  if (step.kind === 'postgres') {
    const mixed = [...whileChanging(state.postgres, step.set), ...acknowledging(step.set)].map(set => set.join(''));
    return { ...state, postgres: step.set, holders: new Set([...state.holders, ...mixed]) };
  }
  const holders = step.barrier ? new Set(acknowledging(state.postgres).map(set => set.join(''))) : state.holders;
  return { ...state, store: step.set, holders };
}

describe('the plan of a cohort change', () => {
  it('keeps every acknowledging set in touch with every electing set, wherever it is cut off and wherever the target moves', () => {
    const seen = new Map<string, State>();
    const queue: State[] = ALL.map(set => ({ store: set, postgres: set, holders: new Set(acknowledging(set).map(held => held.join(''))) }));
    for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
      if (seen.has(keyOf(state))) continue;
      seen.set(keyOf(state), state);
      expect(violated(state), keyOf(state)).toBeNull();
      for (const target of ALL) queue.push(apply(state, target));
    }
    expect(seen.size).toBeGreaterThan(100);
  });

  it('reaches each target from each start within six steps', () => {
    for (const start of ALL)
      for (const target of ALL) {
        let state: State = { store: start, postgres: start, holders: new Set() };
        for (let i = 0; i < 6; i++) state = apply(state, target);
        expect([text(state.store), text(state.postgres)]).toEqual([text(target), text(target)]);
      }
  });

  it('agrees with the definition on what covers what', () => {
    for (const store of ALL)
      for (const postgres of ALL)
        if (covers(store, postgres))
          expect(acknowledging(postgres).every(held => electing(store).every(elect => meets(held, elect)))).toBe(true);
  });

  it('lets the store go ahead only where each electing set contains one of the old ones', () => {
    for (const from of ALL)
      for (const to of ALL) {
        const contained = electing(to).every(elect => electing(from).some(old => old.every(id => elect.includes(id))));
        expect(widensElection(from, to), `${text(from)} to ${text(to)}`).toBe(contained);
      }
  });

  it('takes the store first to grow, PostgreSQL first to shrink', () => {
    const [ab, abc] = [
      { cohort: ['a', 'b'], acks: 1 },
      { cohort: ['a', 'b', 'c'], acks: 1 },
    ];
    expect(nextCohortStep(ab, ab, abc)).toEqual({ kind: 'store', set: abc, barrier: false });
    expect(nextCohortStep(abc, abc, ab)).toEqual({ kind: 'postgres', set: ab });
    expect(nextCohortStep(abc, ab, ab)).toEqual({ kind: 'store', set: ab, barrier: true });
  });
});

describe('synchronous_standby_names', () => {
  it('reads what it wrote, and nothing else', () => {
    for (const set of ALL) expect(parseSynchronousNames(synchronousNames(set, 7), 7)).toEqual(set);
    expect(synchronousNames({ cohort: ['n2', 'n3'], acks: 1 }, 7)).toBe('ANY 1 (n2_t7, n3_t7)');
    for (const other of ['ANY 1 (n2_t6)', 'ANY 2 (n2_t7)', 'FIRST 1 (n2_t7)', '*', 'ANY 0 (n2_t7)', 'ANY 1 (n2)'])
      expect(parseSynchronousNames(other, 7)).toBeNull();
  });
});
