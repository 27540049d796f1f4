import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Link } from '../../src/store/link.ts';
import { Child } from '../../src/supervisor/child.ts';
import { isAlive } from '../../src/supervisor/lock.ts';
import { testDirectory, until } from '../store/fixture.ts';

interface Lives {
  readonly child: Child;
  readonly links: Link[];
  readonly pids: number[];
  readonly exits: string[];
  readonly heard: unknown[];
}

function startChild(logFile: string): Lives {
  const lives = { links: [] as Link[], pids: [] as number[], exits: [] as string[], heard: [] as unknown[] };
  const child = new Child({
    name: 'test',
    entry: '../test/supervisor/child-program',
    logFile,
    onStart: (link, pid) => {
      lives.links.push(link);
      lives.pids.push(pid);
      link.onMessage(message => lives.heard.push(message));
    },
    onExit: cause => lives.exits.push(cause),
  });
  onTestFinished(() => child.stop(0));
  return { child, ...lives };
}

const upTimes = ({ heard }: Lives, times: number): Promise<void> =>
  until(() => heard.filter(m => m === 'up').length >= times, 'a child', 20_000);

describe('a child', () => {
  test('is started again when it dies, and told why', async () => {
    const lives = startChild(join(testDirectory(), 'child.log'));
    await upTimes(lives, 1);
    expect(lives.child.pid).toBe(lives.pids[0]);
    lives.links[0]!.send({ kind: 'crash' });
    await upTimes(lives, 2);
    process.kill(lives.pids[1]!, 'SIGKILL');
    await upTimes(lives, 3);
    expect(lives.exits).toEqual(['exit code 3', 'killed by SIGKILL']);
    expect(new Set(lives.pids).size).toBe(3);
  });

  test('that was asked to end ends by itself, is not started again, and may be stopped twice', async () => {
    const lives = startChild(join(testDirectory(), 'child.log'));
    await upTimes(lives, 1);
    lives.links[0]!.send({ kind: 'end' });
    await Promise.all([lives.child.stop(20_000), lives.child.stop(20_000)]);
    await lives.child.stop(20_000);
    expect(lives.exits).toEqual([]);
    expect(lives.child.pid).toBeNull();
    expect(isAlive(lives.pids[0]!)).toBe(false);
  });

  test('that does not end is killed at the deadline', async () => {
    const lives = startChild(join(testDirectory(), 'child.log'));
    await upTimes(lives, 1);
    await lives.child.stop(10);
    expect(isAlive(lives.pids[0]!)).toBe(false);
    expect(lives.exits).toEqual([]);
  });

  test('that waits to be started again is not, once it is stopped', async () => {
    const lives = startChild(join(testDirectory(), 'child.log'));
    await upTimes(lives, 1);
    lives.links[0]!.send({ kind: 'crash' });
    await until(() => lives.exits.length === 1, 'the exit');
    await lives.child.stop(0);
    await new Promise(resolve => setTimeout(resolve, 250));
    expect(lives.pids).toHaveLength(1);
  });

  test('for which there is no process is tried again', async () => {
    const real = process.execPath;
    process.execPath = '/nonexistent/node';
    onTestFinished(() => {
      process.execPath = real;
    });
    const lives = startChild(join(testDirectory(), 'child.log'));
    await until(() => lives.exits.length >= 2, 'two failures');
    expect(lives.exits[0]).toContain('ENOENT');
    expect(lives.pids).toEqual([]);
    process.execPath = real;
    await upTimes(lives, 1);
    await lives.child.stop(0);
  });

  test('for which there is no process can be stopped', async () => {
    const real = process.execPath;
    process.execPath = '/nonexistent/node';
    onTestFinished(() => {
      process.execPath = real;
    });
    const lives = startChild(join(testDirectory(), 'child.log'));
    await lives.child.stop(60_000);
    expect(lives.child.pid).toBeNull();
  });
});

describe("a child's log", () => {
  test('holds what it says, for nobody else to read', async () => {
    const log = join(testDirectory(), 'child.log');
    const lives = startChild(log);
    await upTimes(lives, 1);
    lives.links[0]!.send({ kind: 'talk', bytes: 1000 });
    await until(() => existsSync(log) && statSync(log).size === 1000, 'its words');
    expect(statSync(log).mode & 0o777).toBe(0o600);
  });

  test('that cannot be written stops neither the child nor us', async () => {
    const lives = startChild(join(testDirectory(), 'missing', 'child.log'));
    await upTimes(lives, 1);
    // More than a pipe holds: a child whose words nobody takes would stand still.
    lives.links[0]!.send({ kind: 'talk', bytes: 1_000_000 });
    await until(() => lives.heard.includes('talked'), 'the child to go on');
    expect(lives.exits).toEqual([]);
  });

  test('is set aside when it has grown long', async () => {
    const log = join(testDirectory(), 'child.log');
    writeFileSync(log, 'y'.repeat(9 * 1024 * 1024));
    const lives = startChild(log);
    await upTimes(lives, 1);
    lives.links[0]!.send({ kind: 'talk', bytes: 10 });
    await until(() => existsSync(log) && readFileSync(log, 'utf8') === 'x'.repeat(10), 'a new log');
    expect(statSync(`${log}.1`).size).toBe(9 * 1024 * 1024);
  });
});
