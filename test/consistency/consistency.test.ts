import { describe, expect, it } from 'vitest';
import { AcknowledgedCounter } from './acknowledged.ts';
import { judgeCounter, judgeList, Verdicts } from './checker.ts';
import { plan } from './disturb.ts';
import { DOORS } from './doors.ts';
import { runConsistency } from './run.ts';

describe('the checker', () => {
  const fresh = { acknowledged: 5, acknowledgedBeforeBound: 3, own: 5, seen: 5, level: 'strong', value: 5 } as const;

  it('finds nothing wrong with a read that shows what it must, or more', () => {
    expect([judgeCounter(fresh), judgeCounter({ ...fresh, value: 6 })]).toEqual([[], []]);
  });

  it.each([
    ['older than what anybody was told', { own: 4, seen: 4, value: 4 }, ['stale']],
    ['older than what its session wrote', { acknowledged: 4, seen: 4, value: 4 }, ['staleOwn']],
    ['older than what its session has read', { acknowledged: 4, own: 4, value: 4 }, ['nonMonotonic']],
    ['older than the bound', { own: 2, seen: 2, value: 2 }, ['stale', 'overBound']],
  ] as const)('finds a read that is %s', (_, change, found) => {
    expect(judgeCounter({ ...fresh, ...change })).toEqual(found);
  });

  it('finds what is lost out of a list, and lets a list end early or lack what was never acknowledged', () => {
    const judge = (items: number[], acknowledged: number[]) => judgeList({ level: 'eventual', items, acknowledged: new Set(acknowledged) });
    expect(judge([1, 2], [1, 2, 3])).toEqual([]);
    expect(judge([1, 3], [1, 3])).toEqual([]);
    expect(judge([1, 3], [1, 2, 3])).toEqual(['lost']);
    expect(judge([1, 2, 2], [1, 2])).toEqual(['lost']);
    expect(judge([2, 1], [])).toEqual(['lost']);
  });

  it('counts everything, and calls broken only what the level promises', () => {
    const verdicts = new Verdicts();
    verdicts.note('eventual', ['stale', 'nonMonotonic'], () => 'a');
    verdicts.note('session', ['stale'], () => 'b');
    expect([verdicts.kept, verdicts.broken, verdicts.counts.eventual.stale]).toEqual([true, [], 1]);
    verdicts.note('session', ['staleOwn'], () => 'c');
    expect([verdicts.kept, verdicts.broken]).toEqual([false, ['session: staleOwn: c']]);
  });

  it('remembers what was acknowledged before a bound', () => {
    const counter = new AcknowledgedCounter(100);
    for (let n = 1; n <= 500; n++) counter.note(n, n);
    expect([counter.newest, counter.before(451), counter.before(401), counter.before(0)]).toEqual([500, 450, 400, 0]);
    counter.note(7, 501);
    expect(counter.newest).toBe(500);
  });
});

describe('the plan', () => {
  it('comes from the seed and the time, and has two primaries killed and one switched over from', () => {
    const of = (seed: number): string[] => {
      const steps = plan(seed, 60);
      const all: string[] = [];
      let nowMs = 0;
      for (let step = steps.next(nowMs); !step.done; step = steps.next(nowMs)) {
        all.push(step.value);
        nowMs += 5;
      }
      return all;
    };
    expect(of(3)).toEqual(of(3));
    expect(of(3)).not.toEqual(of(4));
    for (const what of ['pause-replay', 'stop-replica', 'conflict', 'switchover']) expect(of(3)).toContain(what);
    expect(of(3).filter(what => what === 'kill-primary')).toHaveLength(2);
  });
});

describe('a cluster with a late replica', () => {
  it('keeps what each level promises, through each door, over pauses, conflicts, a switchover and two failovers; where none is promised stale reads are seen', async () => {
    const report = await runConsistency({ seed: 1, durationMs: 9_000, replicas: 2, doors: DOORS });
    expect(report.disturbances).toMatchObject({ 'kill-primary': 2, switchover: 1 });
    for (const door of DOORS) {
      const { surprises, broken, missing } = report.doors[door]!;
      expect({ door, surprises, broken, missing }).toEqual({ door, surprises: [], broken: [], missing: [] });
    }
    // What the checker can see, it did see: otherwise its silence above would mean nothing.
    for (const door of ['proxy', 'client'] as const) {
      const { levels } = report.doors[door]!;
      expect(levels.eventual.stale, door).toBeGreaterThan(0);
      expect(levels.session.stale, door).toBeGreaterThan(0);
      for (const level of ['strong', 'session', 'token', 'bounded'] as const)
        expect(levels[level].reads, `${door} ${level}`).toBeGreaterThan(0);
    }
    expect(report.doors.processes!.levels.token.stale).toBeGreaterThan(0);
  }, 400_000);
});
