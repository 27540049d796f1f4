import { expect, test } from 'vitest';
import { isSocketFile, socketDirectory, socketPath, socketSetting } from '../../src/postgres/socket.ts';

test('the socket lies in the directory of its member', () => {
  expect(socketPath('/data/members/n1', 5433)).toBe('/data/members/n1/.s.PGSQL.5433');
});

test('a path that is longer than a socket may have is none', () => {
  const longest = `/${'d'.repeat(103 - '//.s.PGSQL.65535'.length)}`;
  expect(socketDirectory(longest)).toBe(longest);
  expect(socketDirectory(`${longest}d`)).toBeNull();
  expect(socketPath(`/${'ü'.repeat(60)}`, 5433)).toBeNull();
  expect(socketDirectory('C:\\data', 'win32')).toBeNull();
});

test('the setting has one entry a directory, whatever its name', () => {
  expect(socketSetting(['/a, b/"c"'])).toBe('"/a, b/""c"""');
  expect(socketSetting(['/a', '/var/run/postgresql'])).toBe('"/a", "/var/run/postgresql"');
  expect(socketSetting([])).toBe('');
});

test('only sockets and their locks are taken for such', () => {
  expect(['.s.PGSQL.5433', '.s.PGSQL.5433.lock', '.s.PGSQL.', 'promise.json', 'x.s.PGSQL.1'].map(isSocketFile)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
