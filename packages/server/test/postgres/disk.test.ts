import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskProbe } from '../../src/postgres/disk.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-disk-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a disk that takes a write is well', async () => {
  expect(await new DiskProbe(directory, null).probe(10_000)).toMatchObject({ kind: 'well' });
});

test('a directory that is gone is no disk', async () => {
  rmSync(directory, { recursive: true });
  expect(await new DiskProbe(directory, null).probe(10_000)).toEqual({ kind: 'failed', errno: 'ENOENT' });
});

test('a link in the place of its file is not followed', async () => {
  const other = join(directory, 'other');
  writeFileSync(other, 'precious');
  symlinkSync(other, join(directory, 'understudy.probe'));
  expect(await new DiskProbe(directory, null).probe(10_000)).toEqual({ kind: 'failed', errno: 'ELOOP' });
  expect(readFileSync(other, 'utf8')).toBe('precious');
});
