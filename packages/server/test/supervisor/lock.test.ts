import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive, lockDirectory, lockHolder } from '../../src/supervisor/lock.ts';
import { testDirectory } from '../store/fixture.ts';

/** A process id that nobody has: of a child that has ended and was waited for. */
async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid!;
}

test('a lock is taken once, names its process and is free again after release', () => {
  const path = join(testDirectory(), 'lock');
  expect(lockHolder(path)).toBeNull();
  const lock = lockDirectory(path);
  expect(lockHolder(path)).toBe(process.pid);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => lockDirectory(path)).toThrow(expect.objectContaining({ code: 'already-running', details: { pid: process.pid } }));
  lock.release();
  expect(lockHolder(path)).toBeNull();
  lockDirectory(path).release();
  expect(readdirSync(join(path, '..'))).toEqual([]);
});

test.each<[string, () => Promise<string> | string]>([
  ['a process that is gone', async () => `${await deadPid()} 123\n`],
  ['an earlier process of the same id', () => `${process.pid} 1\n`],
  ['nobody', () => ''],
  ['garbage', () => 'hello world\n'],
  ['process 0', () => '0 0\n'],
  ['a group of processes', () => '-1 0\n'],
])('a lock of %s is taken over', async (_what, content) => {
  const path = join(testDirectory(), 'lock');
  writeFileSync(path, await content());
  expect(lockHolder(path)).toBeNull();
  lockDirectory(path);
  expect(lockHolder(path)).toBe(process.pid);
});

test('a lock of a live process of which no start is known holds', () => {
  const path = join(testDirectory(), 'lock');
  writeFileSync(path, `${process.ppid}\n`);
  expect(() => lockDirectory(path)).toThrow(`process ${process.ppid}`);
});

test('a lock that has been taken over is not released by the one before', () => {
  const path = join(testDirectory(), 'lock');
  const lock = lockDirectory(path);
  writeFileSync(path, `${process.ppid}\n`);
  lock.release();
  expect(readFileSync(path, 'utf8')).toBe(`${process.ppid}\n`);
});

test('a directory that is not there is an error of its own', () => {
  expect(() => lockDirectory(join(testDirectory(), 'missing', 'lock'))).toThrow('ENOENT');
});

test('a process that has ended counts as dead before anybody has waited for it', async () => {
  const parent = spawn('bash', ['-c', 'true & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [text] = (await once(parent.stdout, 'data')) as [Buffer];
  const zombie = Number(text.toString());
  const end = performance.now() + 10_000;
  while (isAlive(zombie) && performance.now() < end) await new Promise(resolve => setTimeout(resolve, 2));
  expect(isAlive(zombie)).toBe(false);
  expect(isAlive(parent.pid!)).toBe(true);
});

test('of many that find the same stale lock, one takes it', async () => {
  const directory = testDirectory();
  const stale = `${await deadPid()} 123\n`;
  const paths = Array.from({ length: 300 }, (_, i) => join(directory, `lock-${i}`));
  for (const path of paths) writeFileSync(path, stale);
  const program = fileURLToPath(new URL('lock-program.ts', import.meta.url));
  const rivals = Array.from({ length: 4 }, () => fork(program, { execArgv: ['--import', 'tsx', '--conditions=source'] }));
  onTestFinished(() => rivals.forEach(rival => rival.kill('SIGKILL')));
  await Promise.all(rivals.map(rival => once(rival, 'message')));
  const results = await Promise.all(rivals.map(rival => contend(rival, paths)));
  const winners = new Map<string, number>();
  for (const path of results.flat()) winners.set(path, (winners.get(path) ?? 0) + 1);
  expect(winners.size).toBe(paths.length);
  expect([...winners.values()].filter(count => count !== 1)).toEqual([]);
}, 60_000);

async function contend(rival: ChildProcess, paths: readonly string[]): Promise<readonly string[]> {
  rival.send(paths);
  const [{ won }] = (await once(rival, 'message')) as [{ won: readonly string[] }];
  return won;
}
