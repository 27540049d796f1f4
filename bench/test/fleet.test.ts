import { describe, expect, test } from 'vitest';
import { quantile } from '../lib/stats.ts';
import { Agenda } from '../fleet/agenda.ts';
import { DEFAULT_PLAN, Fleet, type FleetOutcome } from '../fleet/fleet.ts';
import type { PolicyName } from '../fleet/policies.ts';
import { seededRandom, zipf } from '../fleet/random.ts';

const run = (policy: PolicyName, seed: number): FleetOutcome =>
  new Fleet({ ...DEFAULT_PLAN, policy, seed, replicas: 50, clients: 2000, reads: 20_000, burstEveryMs: 20 }).run();

/** Reads answered by slow replicas, in shares of what a replica of their speed should take: 1 is just. */
function slowLoad({ served, slow }: FleetOutcome): number {
  const mean = (of: boolean): number => {
    const counts = [...served].filter((_, i) => slow[i] === of);
    return counts.reduce((sum, count) => sum + count, 0) / counts.length;
  };
  return (mean(true) / mean(false)) * DEFAULT_PLAN.slowFactor;
}

describe('a simulated fleet', () => {
  test.each([1, 2, 3])('no read is older than its session, and slow replicas get what they can bear (seed %i)', seed => {
    const outcome = run('understudy', seed);
    expect(outcome.stale).toBe(0);
    expect(outcome.served.reduce((sum, count) => sum + count, 0) + outcome.onPrimary).toBe(20_000);
    expect(slowLoad(outcome)).toBeGreaterThan(0.2);
    expect(slowLoad(outcome)).toBeLessThan(1.5);
    const fair = quantile([...run('random', seed).latenciesMs], 0.99);
    expect(quantile([...outcome.latenciesMs], 0.99)).toBeLessThan(fair / 2);
  });

  test('the same seed gives the same run', () => {
    expect(run('understudy', 7).latenciesMs).toEqual(run('understudy', 7).latenciesMs);
    expect(run('understudy', 7).latenciesMs).not.toEqual(run('understudy', 8).latenciesMs);
  });
});

test('an agenda gives the earliest first', () => {
  const agenda = new Agenda<number>();
  const random = seededRandom(5);
  const times = Array.from({ length: 200 }, () => Math.floor(random() * 50));
  for (const time of times) agenda.add(time, time);
  const taken: number[] = [];
  while (agenda.size > 0) taken.push(agenda.take() as number);
  expect(taken).toEqual(times.toSorted((a, b) => a - b));
  expect(agenda.take()).toBeUndefined();
  expect(agenda.nextMs).toBe(Number.POSITIVE_INFINITY);
});

test("clients are drawn by Zipf's law", () => {
  const draw = zipf(1000, 1);
  const random = seededRandom(3);
  const counts = new Uint32Array(1000);
  for (let i = 0; i < 100_000; i++) counts[draw(random)]! += 1;
  // The first is drawn twice as often as the second, ten times as often as the tenth.
  expect((counts[0] as number) / (counts[1] as number)).toBeCloseTo(2, 0);
  expect((counts[0] as number) / (counts[9] as number)).toBeGreaterThan(8);
  expect((counts[0] as number) / (counts[9] as number)).toBeLessThan(12);
});
