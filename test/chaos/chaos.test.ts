import { describe, expect, it } from 'vitest';
import { type Append, check, type History, longestGapMs } from './checker.ts';
import { FAULTS, plan } from './faults.ts';
import { runChaos } from './run.ts';

function append(item: string, change: Partial<Append> = {}): Append {
  return { key: 1, item, sentAtMs: 0, endedAtMs: 10, outcome: 'acknowledged', ...change };
}

function history(change: Partial<History>): History {
  return { appends: [append('1:1')], reads: [], final: new Map([[1, ['1:1']]]), elections: [], ...change };
}

describe('the checker', () => {
  const clean = { lost: [], doubled: [], undead: [], stale: [], contradicted: [], splitTerms: [] };

  it('finds nothing where nothing is wrong', () => {
    const reads = [
      { key: 1, sentAtMs: 5, items: [] },
      { key: 1, sentAtMs: 20, items: ['1:1'] },
    ];
    expect(
      check(
        history({
          reads,
          elections: [
            { term: 1, primary: 'n1' },
            { term: 1, primary: 'n1' },
          ],
        }),
      ),
    ).toEqual(clean);
  });

  it.each([
    ['a lost write', { final: new Map([[1, []]]) }, { lost: ['1:1'] }],
    ['a write that is there twice', { final: new Map([[1, ['1:1', '1:1']]]) }, { doubled: ['1:1'] }],
    ['a write that came back', { appends: [append('1:1', { outcome: 'rolled-back' })] }, { undead: ['1:1'] }],
    ['a stale read', { reads: [{ key: 1, sentAtMs: 11, items: [] }] }, { stale: ['key 1 at 11 ms misses 1:1'] }],
    ['something shown that is gone', { reads: [{ key: 1, sentAtMs: 5, items: ['2:1'] }] }, { contradicted: ['key 1 at 5 ms'] }],
    [
      'two primaries of a term',
      {
        elections: [
          { term: 2, primary: 'n1' },
          { term: 2, primary: 'n2' },
        ],
      },
      { splitTerms: [2] },
    ],
  ] as const)('finds %s', (_, change, found) => {
    expect(check(history(change as Partial<History>))).toEqual({ ...clean, ...found });
  });

  it('does not hold an unknown outcome against anybody, there or not', () => {
    const appends = [append('1:1'), append('1:2', { outcome: 'unknown' }), append('1:3', { outcome: 'unknown' })];
    expect(check(history({ appends, final: new Map([[1, ['1:1', '1:3']]]) }))).toEqual(clean);
  });

  it('measures the longest gap around a fault', () => {
    const appends = [10, 20, 520, 530].map(endedAtMs => append('x', { endedAtMs }));
    expect([longestGapMs(appends, 15, 600), longestGapMs(appends, 525, 600)]).toEqual([500, 10]);
  });
});

describe('the plan', () => {
  const first = (seed: number, pairs = 3) => {
    const blows = plan(seed, FAULTS, pairs);
    return Array.from({ length: FAULTS.length + pairs }, () => blows.next().value);
  };

  it('comes from the seed alone, leaves no fault out, and has some meet', () => {
    expect(first(7)).toEqual(first(7));
    expect(first(7)).not.toEqual(first(8));
    const single = first(7).filter(blow => blow.length === 1);
    expect(single.flat().toSorted()).toEqual([...FAULTS].sort());
    expect(first(7).filter(blow => blow.length === 2)).toHaveLength(3);
    expect(first(7, 0).every(blow => blow.length === 1)).toBe(true);
  });
});

describe('a cluster under faults', () => {
  it('G2, G3, G4, G6: loses nothing acknowledged, shows nothing stale, and tells clients the truth', { timeout: 200_000 }, async () => {
    const report = await runChaos({ seed: 20, durationMs: 32_000, replicas: 2, scope: 'simple' });
    if (!report.clean) {
      const { appends: _, ...told } = report;
      process.stderr.write(`chaos was not clean: ${JSON.stringify(told)}\n`);
    }
    expect(report.surprises).toEqual([]);
    expect(report.verdict).toEqual({ lost: [], doubled: [], undead: [], stale: [], contradicted: [], splitTerms: [] });
    expect(report.faults.length).toBeGreaterThan(3);
    expect(report.acknowledged).toBeGreaterThan(500);
  });
});
