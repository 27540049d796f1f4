import { describe, expect, it } from 'vitest';
import {
  addHistograms,
  addPools,
  addTraffic,
  BUCKETS_MS,
  newHistogram,
  observe,
  observed,
  type RouterTraffic,
} from '../../src/routing/index.ts';

const last = BUCKETS_MS.at(-1)!;

describe('a histogram', () => {
  it.each([
    [0, 0],
    [0.25, 0],
    [0.26, 1],
    [last, BUCKETS_MS.length - 1],
    [last + 1, BUCKETS_MS.length],
  ])('%d ms are in bucket %d: a bound belongs to what lies below it', (ms, bucket) => {
    const histogram = newHistogram();
    observe(histogram, ms);
    expect(histogram.counts.indexOf(1)).toBe(bucket);
    expect(observed(histogram)).toBe(1);
    expect(histogram.sumMs).toBe(ms);
  });

  it('adds up, and leaves what it is made of alone', () => {
    const a = newHistogram();
    const b = newHistogram();
    observe(a, 1);
    observe(b, 1);
    observe(b, 99);
    const sum = addHistograms(a, b);
    expect([observed(sum), sum.sumMs, observed(a), observed(b)]).toEqual([3, 101, 1, 2]);
  });
});

describe('the traffic of several routers', () => {
  const once = newHistogram();
  observe(once, 3);
  const traffic: RouterTraffic = {
    laneReads: 1,
    lanes: 2,
    retries: { lost: 3 },
    refusedLogins: 4,
    cancels: 5,
    sessions: { active: 1, idle: 2, inTransaction: 3, pinned: 4 },
    pools: [{ member: 'n1', role: 'primary', connections: 3, idle: 1, waiting: 2 }],
    prepared: { sent: 6, reused: 7 },
    answers: { n1: once },
    waits: { 'replicas-stale': once },
    holds: once,
    holdFailures: { full: 1 },
  };

  it('is the sum of every number in it', () => {
    const numbers = (value: unknown): number[] =>
      typeof value === 'number' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbers) : [];
    expect(numbers(addTraffic(traffic, traffic))).toEqual(numbers(traffic).map(number => number * 2));
  });

  it('names what only one of them has', () => {
    const other: RouterTraffic = { ...traffic, retries: { '25006': 1 }, answers: { n2: once }, pools: [] };
    expect(addTraffic(traffic, other)).toMatchObject({
      retries: { lost: 3, '25006': 1 },
      answers: { n1: once, n2: once },
      pools: traffic.pools,
    });
  });

  it('has one pool for each member and role, whosever connections they are', () => {
    const [pool] = traffic.pools;
    expect(addPools([pool!, { ...pool!, role: 'replica' }, pool!])).toEqual([
      { member: 'n1', role: 'primary', connections: 6, idle: 2, waiting: 4 },
      { ...pool!, role: 'replica' },
    ]);
  });
});
