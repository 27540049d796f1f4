import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canReach } from '../../src/postgres/account.ts';
import { writeFileAtomically } from '../../src/postgres/files.ts';
import { chooseClusterDirectory } from '../../src/postgres/layout.ts';
import { limitLog, logTail } from '../../src/postgres/log-file.ts';
import { grantStreaming, passfilePath, revokeStreaming } from '../../src/postgres/passfile.ts';
import { dropUnusedTimelines, listHistoryFiles, reserveTimeline } from '../../src/postgres/timeline-files.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-files-'));
  await chmod(directory, 0o755);
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('canReach', () => {
  const stranger = { name: 'stranger', uid: 54_321, gid: 54_321 };

  test('needs x on every parent', async () => {
    await mkdir(join(directory, 'closed', 'open'), { recursive: true });
    await chmod(join(directory, 'closed', 'open'), 0o777);
    await chmod(join(directory, 'closed'), 0o700);
    expect(await canReach(stranger, join(directory, 'closed', 'open'), 'enter')).toBe(false);
    await chmod(join(directory, 'closed'), 0o711);
    expect(await canReach(stranger, join(directory, 'closed', 'open'), 'write')).toBe(true);
    expect(await canReach(stranger, join(directory, 'closed'), 'read')).toBe(false);
  });

  test('judges a path that is not there by its nearest parent', async () => {
    expect(await canReach(stranger, join(directory, 'a', 'b'), 'enter')).toBe(true);
    await chmod(directory, 0o700);
    expect(await canReach(stranger, join(directory, 'a', 'b'), 'enter')).toBe(false);
  });

  test('reads the bits of the owner', async () => {
    if (process.getuid?.() !== 0) return;
    await chmod(directory, 0o700);
    await chown(directory, stranger.uid, stranger.gid);
    expect(await canReach(stranger, directory, 'write')).toBe(true);
  });
});

describe('chooseClusterDirectory', () => {
  const account = { name: 'stranger', uid: 54_321, gid: 54_321 };

  test('takes the default where it can be reached', async () => {
    const path = join(directory, 'data');
    expect(await chooseClusterDirectory({ explicit: null, defaultDirectory: path, cluster: 'main', account })).toEqual({
      path,
      movedBecause: null,
    });
  });

  test('moves an unreachable default and says why, but refuses an explicit one', async () => {
    await chmod(directory, 0o700);
    const path = join(directory, 'data');
    expect(await chooseClusterDirectory({ explicit: null, defaultDirectory: path, cluster: 'main', account })).toEqual({
      path: '/var/lib/understudy/main',
      movedBecause: expect.stringContaining('stranger'),
    });
    await expect(chooseClusterDirectory({ explicit: path, defaultDirectory: '/x', cluster: 'main', account })).rejects.toMatchObject({
      code: 'data-directory-unreachable',
    });
  });
});

test('an atomic write leaves the file and nothing beside it', async () => {
  await writeFileAtomically(null, join(directory, 'f'), 'one');
  await writeFileAtomically(null, join(directory, 'f'), 'two');
  expect(await readFile(join(directory, 'f'), 'utf8')).toBe('two');
  expect((await stat(join(directory, 'f'))).mode & 0o777).toBe(0o600);
  expect(await readdir(directory)).toEqual(['f']);
});

test('one name at a time may stream, and none after an isolation', async () => {
  const passes = join(directory, 'pass');
  grantStreaming(null, passes, 'n2_t1', 'a:b\\c');
  expect(await readFile(passfilePath(passes, 'n2_t1'), 'utf8')).toBe('*:*:*:*:a\\:b\\\\c\n');
  grantStreaming(null, passes, 'n2_t2', 'secret');
  expect(await readdir(passes)).toEqual(['n2_t2.pgpass']);
  revokeStreaming(passes);
  expect(await readdir(passes)).toEqual([]);
  revokeStreaming(join(directory, 'never-made'));
});

describe('timelines', () => {
  beforeEach(() => mkdir(join(directory, 'pg_wal')));
  const history = (name: string, text: string): Promise<void> => writeFileAtomically(null, join(directory, 'pg_wal', name), text);

  test('numbers in between are skipped, and no number is taken twice', async () => {
    await history('00000002.history', '1\t0/3000148\tx\n');
    await reserveTimeline(null, directory, 2, 5);
    expect(await listHistoryFiles(directory)).toMatchObject({ newest: 2, skipped: expect.arrayContaining([3, 4]) });
    await expect(reserveTimeline(null, directory, 1, 2)).rejects.toMatchObject({ code: 'timeline-unavailable' });
  });

  test('skipped numbers stay below a real history and go above it', async () => {
    await reserveTimeline(null, directory, 1, 4);
    await history('00000004.history', '1\t0/3000148\tx\n');
    await reserveTimeline(null, directory, 4, 7);
    await dropUnusedTimelines(directory);
    const { newest, skipped } = await listHistoryFiles(directory);
    expect([newest, [...skipped].sort()]).toEqual([4, [2, 3]]);
  });
});

test('a log that is too long is cut under its writer, its end is kept', async () => {
  const log = join(directory, 'log');
  await writeFileAtomically(null, log, 'x'.repeat(100));
  await limitLog(log, 1000);
  expect((await stat(log)).size).toBe(100);
  await limitLog(log, 50);
  expect([(await stat(log)).size, (await stat(`${log}.1`)).size]).toEqual([0, 100]);
  expect(await logTail(`${log}.1`, 98)).toBe('xx');
});
