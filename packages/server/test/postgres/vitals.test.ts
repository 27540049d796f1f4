import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { parseSchedstat, readVitals, waitedSince } from '../../src/postgres/vitals.ts';

test.each([
  ['1000000 2500000 7\n', 2.5],
  ['', 0],
  ['garbage', 0],
])('reads %j', (text, expected) => {
  expect(parseSchedstat(text)).toBe(expected);
});

test.runIf(process.platform === 'linux')('tells a stopped process from one that sleeps, and nothing of one that is gone', async () => {
  const child = spawn('sleep', ['600']);
  await once(child, 'spawn');
  const { pid } = child as { pid: number };
  expect(readVitals(pid)).toMatchObject({ stopped: false });
  child.kill('SIGSTOP');
  await expect.poll(() => readVitals(pid)?.stopped).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(readVitals(pid)).toBeNull();
});

test.runIf(process.platform === 'linux')('counts the waiting of children too', async () => {
  // Two busy children on one processor: each waits for the other.
  const child = spawn('sh', ['-c', 'taskset -c 0 sh -c "while :; do :; done & while :; do :; done & wait"'], { detached: true });
  await once(child, 'spawn');
  const { pid } = child as { pid: number };
  try {
    const before = readVitals(pid)!;
    await expect.poll(() => waitedSince(before, readVitals(pid)!), { timeout: 20_000 }).toBeGreaterThan(50);
  } finally {
    process.kill(-pid, 'SIGKILL');
  }
});
