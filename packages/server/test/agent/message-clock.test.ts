import { expect, test } from 'vitest';
import { MessageClock } from '../../src/agent/message-clock.ts';

const HOUR_MS = 3_600_000;
const receipt = (receivedAt: string | null, ageMs: number, pid = 7) => ({ pid, receivedAt, ageMs });

test('a message is as old as the server says, and grows older by the monotonic clock', () => {
  const clock = new MessageClock();
  expect(clock.note(receipt('a', 30), 1000)).toBe(30);
  expect(clock.note(receipt('a', 280), 1250)).toBe(280);
  expect(clock.note(receipt('b', 10), 1500)).toBe(10);
});

test('a clock that is set, forward or back, makes no message younger or older than the looks around it', () => {
  const clock = new MessageClock();
  clock.note(receipt('a', 0), 1000);
  expect(clock.note(receipt('a', -HOUR_MS), 1250)).toBe(250);
  expect(clock.note(receipt('a', HOUR_MS), 1500)).toBe(500);
  expect(clock.note(receipt('b', -HOUR_MS), 1750)).toBe(0);
  expect(clock.note(receipt('c', HOUR_MS), 2000)).toBe(250);
});

test('without a walreceiver, or before its first message, there is none; another walreceiver is another beginning', () => {
  const clock = new MessageClock();
  expect(clock.note(null, 1000)).toBe(Number.POSITIVE_INFINITY);
  expect(clock.note(receipt(null, Number.POSITIVE_INFINITY), 1250)).toBe(Number.POSITIVE_INFINITY);
  expect(clock.note(receipt('a', 100), 1500)).toBe(100);
  expect(clock.note(receipt('a', 5, 8), 1750)).toBe(5);
});
