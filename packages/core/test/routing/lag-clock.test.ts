import { expect, test } from 'vitest';
import { LagClock } from '../../src/routing/index.ts';

const clockOf = (...samples: readonly (readonly [lsn: bigint, atMs: number])[]): LagClock => {
  const clock = new LagClock();
  for (const [lsn, atMs] of samples) clock.sample(lsn, atMs);
  return clock;
};

test('a replica lags by the time since the primary first went past it', () => {
  const clock = clockOf([100n, 1000], [200n, 1250], [300n, 1500]);
  expect(clock.lagMs(300n, 1600)).toBe(0);
  expect(clock.lagMs(250n, 1600)).toBe(100);
  expect(clock.lagMs(200n, 1600)).toBe(100);
  expect(clock.lagMs(150n, 1600)).toBe(350);
  expect(clock.lagMs(99n, 1600)).toBe(600);
});

test('on an idle system nobody lags, however long it lasts', () => {
  const clock = clockOf([100n, 0], [100n, 10_000], [100n, 60_000]);
  expect(clock.lagMs(100n, 120_000)).toBe(0);
});

test('the wait begins with the write, not with the idle time before it', () => {
  expect(clockOf([100n, 0], [100n, 60_000], [200n, 60_010]).lagMs(100n, 60_020)).toBe(10);
});

test('knows nothing before the first sample, and never a negative lag', () => {
  expect(new LagClock().lagMs(100n, 5)).toBe(0);
  expect(clockOf([100n, 1000]).lagMs(50n, 900)).toBe(0);
});

test('a position that goes back begins anew', () => {
  const clock = clockOf([100n, 0], [500n, 1000], [300n, 2000]);
  expect(clock.lagMs(299n, 2500)).toBe(500);
  expect(clock.lagMs(400n, 2500)).toBe(0);
});

test('is bounded, and coarser the further back', () => {
  const clock = new LagClock();
  for (let i = 0; i < 100_000; i++) clock.sample(BigInt(i), i);
  expect(clock.lagMs(99_998n, 100_000)).toBe(1);
  // The oldest sample is kept, and what is told of an older position is still on the safe side of the truth.
  for (const at of [0, 1000, 50_000, 99_000]) {
    expect(clock.lagMs(BigInt(at), 100_000)).toBeLessThanOrEqual(100_000 - at);
    expect(clock.ageMs(BigInt(at), 100_000)).toBeGreaterThanOrEqual(100_000 - at);
  }
  expect(clock.ageMs(99_000n, 100_000)).toBeLessThan(1500);
});

test('the age of what a replica shows counts from when the primary was last seen there', () => {
  const clock = clockOf([100n, 1000], [100n, 1500], [200n, 2000]);
  expect(clock.ageMs(200n, 2100)).toBe(100);
  expect(clock.ageMs(150n, 2100)).toBe(600);
  expect(clock.ageMs(99n, 2100)).toBe(Number.POSITIVE_INFINITY);
  expect([clock.newest, clock.sampledAtMs]).toEqual([200n, 2000]);
});
