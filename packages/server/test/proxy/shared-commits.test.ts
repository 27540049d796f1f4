import { expect, test } from 'vitest';
import { SharedCommits } from '../../src/proxy/shared-commits.ts';

test('a worker hears of the commits of others, once, and not of its own', () => {
  const memory = SharedCommits.memory();
  const [a, b] = [new SharedCommits(memory), new SharedCommits(memory)];
  a.note();
  a.note();
  expect([a.takeNews(), b.takeNews(), b.takeNews()]).toEqual([false, true, false]);
  b.note();
  a.note();
  expect([a.takeNews(), b.takeNews()]).toEqual([true, true]);
  expect([a.takeNews(), b.takeNews()]).toEqual([false, false]);
});

test('a worker that starts later has nothing to catch up with: its first read asks the primary anyway', () => {
  const memory = SharedCommits.memory();
  new SharedCommits(memory).note();
  expect(new SharedCommits(memory).takeNews()).toBe(false);
});
