import { expect, test } from 'vitest';
import { LagClock } from '../../src/supervisor/lag-clock.ts';

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

test('remembers ten minutes of heartbeats: a replica further behind shows the oldest', () => {
  const clock = new LagClock();
  for (let i = 0; i < 10_000; i++) clock.sample(BigInt(i), i * 250);
  expect(clock.lagMs(0n, 10_000 * 250)).toBe(2400 * 250);
});
