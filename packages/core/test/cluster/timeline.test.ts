import { describe, expect, test } from 'vitest';
import { commonLsn, comparePositions, isAncestor, type WalPosition } from '../../src/cluster/index.ts';

/** A position from the ends of its ancestors: `at(150n, [1, 100n])` is timeline 2 at 150, forked from 1 at 100. */
function at(lsn: bigint, ...ends: readonly (readonly [timeline: number, endLsn: bigint])[]): WalPosition {
  const history = ends.map(([timeline, endLsn]) => ({ timeline, endLsn }));
  return { timeline: (ends.at(-1)?.[0] ?? 0) + 1, lsn, history };
}

const cases: readonly (readonly [name: string, a: WalPosition, b: WalPosition, common: bigint])[] = [
  ['the same timeline', at(80n), at(120n), 80n],
  ['before the fork', at(80n), at(150n, [1, 100n]), 80n],
  ['at the fork', at(100n), at(150n, [1, 100n]), 100n],
  ['past the fork', at(120n), at(150n, [1, 100n]), 100n],
  ['siblings of one parent', { ...at(150n, [1, 100n]), timeline: 2 }, { ...at(160n, [1, 90n]), timeline: 3 }, 90n],
  ['two forks on', at(120n), at(300n, [1, 100n], [2, 200n]), 100n],
  ['in the second of three', at(180n, [1, 100n]), at(300n, [1, 100n], [2, 200n]), 180n],
  ['a history that skips a timeline', at(180n, [1, 100n]), { timeline: 3, lsn: 300n, history: [{ timeline: 1, endLsn: 100n }] }, 100n],
  ['nothing in common', { timeline: 5, lsn: 10n, history: [] }, at(20n), 0n],
];

describe.each(cases)('%s', (_name, a, b, common) => {
  test('has this much in common, whoever asks', () => {
    expect(commonLsn(a, b)).toBe(common);
    expect(commonLsn(b, a)).toBe(common);
  });

  test('one may stream on from the other exactly when all it holds is in common', () => {
    expect(isAncestor(a, b)).toBe(common === a.lsn);
    expect(isAncestor(b, a)).toBe(common === b.lsn);
  });
});

test('a later timeline counts for more than a greater LSN, then the LSN counts', () => {
  const oldest = at(900n);
  const fork = at(150n, [1, 100n]);
  const further = at(151n, [1, 100n]);
  expect([further, oldest, fork].toSorted(comparePositions)).toEqual([oldest, fork, further]);
  expect(comparePositions(fork, at(150n, [1, 100n]))).toBe(0);
});
