import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  hasMemberData,
  inspectDirectory,
  makeFolder,
  type Marker,
  requireSpace,
  requireVersion,
  writeMarker,
} from '../../src/supervisor/directory.ts';
import { clusterPaths } from '../../src/supervisor/paths.ts';
import { testDirectory } from '../store/fixture.ts';

const MARKER: Marker = { schema: 1, cluster: 'main', createdAtMs: 1, provider: 'embedded', major: 18, port: 5432, httpPort: 8008 };

const paths = () => clusterPaths(join(testDirectory(), 'data'));

describe('a directory is looked at', () => {
  test('new: not there, empty, or with nothing but what a start makes before it is sure', () => {
    const p = paths();
    expect(inspectDirectory(p)).toEqual({ kind: 'new' });
    makeFolder(p.root);
    expect(inspectDirectory(p)).toEqual({ kind: 'new' });
    for (const folder of [p.log, p.run]) makeFolder(folder);
    expect(inspectDirectory(p)).toEqual({ kind: 'new' });
  });

  test('ours: it has our marker', () => {
    const p = paths();
    makeFolder(p.root);
    writeMarker(p, MARKER);
    expect(inspectDirectory(p)).toEqual({ kind: 'ours', marker: MARKER });
  });

  test.each(['file', '.hidden', 'PG_VERSION', 'members'])('not ours: it holds %s and no marker', name => {
    const p = paths();
    makeFolder(p.root);
    writeFileSync(join(p.root, name), 'precious');
    expect(() => inspectDirectory(p)).toThrow(expect.objectContaining({ code: 'not-our-directory' }));
    expect(readdirSync(p.root)).toEqual([name]);
  });

  test('not ours: it is a file', () => {
    const p = paths();
    writeFileSync(p.root, 'precious');
    expect(() => inspectDirectory(p)).toThrow(expect.objectContaining({ code: 'not-our-directory' }));
  });

  test.each<[string, string, string]>([
    ['cut off', '{"schema":1,', 'state-corrupt'],
    ['empty', '', 'state-corrupt'],
    ['of no schema', '{}', 'state-corrupt'],
    ['with an unknown key', JSON.stringify({ ...MARKER, extra: 1 }), 'state-corrupt'],
    ['null', 'null', 'state-corrupt'],
    ['of a newer program', JSON.stringify({ ...MARKER, schema: 2 }), 'state-newer'],
  ])('a marker that is %s is refused and left alone', (_what, content, code) => {
    const p = paths();
    makeFolder(p.root);
    writeFileSync(p.marker, content);
    expect(() => inspectDirectory(p)).toThrow(expect.objectContaining({ code }));
    expect(readFileSync(p.marker, 'utf8')).toBe(content);
  });
});

test('a data directory is only one with PostgreSQL in it', () => {
  const p = paths();
  expect(hasMemberData(p)).toBe(false);
  mkdirSync(join(p.members, 'n1', 'data'), { recursive: true });
  expect(hasMemberData(p)).toBe(false);
  writeFileSync(join(p.members, 'n1', 'data', 'PG_VERSION'), '18\n');
  expect(hasMemberData(p)).toBe(true);
});

test('data of another major version is refused, with both versions', () => {
  const p = paths();
  requireVersion(p, 18, '18.0');
  mkdirSync(join(p.members, 'n1', 'data'), { recursive: true });
  writeFileSync(join(p.members, 'n1', 'data', 'PG_VERSION'), '15\n');
  requireVersion(p, 15, '15.1');
  expect(() => requireVersion(p, 18, '18.0')).toThrow(
    expect.objectContaining({ code: 'wrong-pg-version', details: expect.objectContaining({ found: '15', offered: '18.0' }) }),
  );
});

test('room is asked for where the directory will lie', () => {
  const root = join(testDirectory(), 'not', 'yet', 'there');
  requireSpace(root, 0);
  expect(() => requireSpace(root, 1e9)).toThrow(expect.objectContaining({ code: 'disk-full' }));
});

test('a folder that is there keeps its mode, through a link too', () => {
  const root = testDirectory();
  mkdirSync(join(root, 'real'), { mode: 0o700 });
  symlinkSync(join(root, 'real'), join(root, 'link'));
  makeFolder(join(root, 'link'));
  makeFolder(join(root, 'link', 'a', 'b'));
  expect(readdirSync(join(root, 'real', 'a'))).toEqual(['b']);
});
