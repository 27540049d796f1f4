import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { findAccount } from '../../src/postgres/account.ts';
import { findMismatches, parseManifest } from '../../src/postgres/backup-manifest.ts';
import { BackupStreamReader, baseBackupCommand } from '../../src/postgres/backup-stream.ts';
import { parseControlFile } from '../../src/postgres/control-file.ts';
import { selectSegments } from '../../src/postgres/diverged-wal.ts';
import { parsePostmasterFile } from '../../src/postgres/postmaster-file.ts';
import { parsePs, parseStat } from '../../src/postgres/processes.ts';
import { parseVersion } from '../../src/postgres/provider.ts';
import { parseTimelineHistory } from '../../src/postgres/timeline-files.ts';

describe('timeline histories', () => {
  test('are read oldest first, comments skipped', () => {
    const text = '1\t0/3000148\tno recovery target specified\n\n# a comment\n2\t1A/5000000\tbefore 2000-01-01\n';
    expect(parseTimelineHistory(text)).toEqual([
      { timeline: 1, endLsn: 0x3000148n },
      { timeline: 2, endLsn: 0x1a05000000n },
    ]);
  });

  test('that are damaged are refused', () => {
    expect(() => parseTimelineHistory('1\tnowhere\n')).toThrow(RangeError);
  });
});

describe('pg_control', () => {
  const bytes = (version: number, state: number): Buffer => {
    const control = Buffer.alloc(8192);
    control.writeBigUInt64LE(7_345_678_901_234_567_890n, 0);
    control.writeUInt32LE(version, 8);
    control.writeInt32LE(state, 16);
    control.writeBigUInt64LE(0x3000060n, 32);
    control.writeBigUInt64LE(0x3000028n, 40);
    control.writeUInt32LE(3, 48);
    control.writeUInt32LE(2, 52);
    return control;
  };

  test('is read', () => {
    expect(parseControlFile(bytes(1800, 6))).toEqual({
      systemId: '7345678901234567890',
      state: 'in-production',
      checkpointLsn: 0x3000060n,
      redoLsn: 0x3000028n,
      timeline: 3,
      previousTimeline: 2,
    });
  });

  test.each([
    ['cut off', Buffer.alloc(20)],
    ['of another byte order', bytes(1800, 6).swap32()],
    ['with an unknown state', bytes(1800, 99)],
  ])('that is %s is refused', (_, damaged) => {
    expect(() => parseControlFile(damaged)).toThrow(/pg_control is not readable/);
  });
});

describe('a base backup', () => {
  test('of 15 and later is told apart by its letters', () => {
    const reader = new BackupStreamReader(18);
    reader.beginCopy();
    expect(reader.read(Buffer.from('nbase.tar\0\0'))).toEqual({ kind: 'none' });
    expect(reader.read(Buffer.from('dabc'))).toEqual({ kind: 'archive', data: Buffer.from('abc') });
    expect(reader.read(Buffer.from('p\0\0\0\0\0\0\0\x01'))).toEqual({ kind: 'none' });
    expect(reader.read(Buffer.from('m'))).toEqual({ kind: 'none' });
    expect(reader.read(Buffer.from('d{}'))).toEqual({ kind: 'manifest', data: Buffer.from('{}') });
  });

  test('of 14 is told apart by its COPYs', () => {
    const reader = new BackupStreamReader(14);
    reader.beginCopy();
    expect(reader.read(Buffer.from('dabc'))).toEqual({ kind: 'archive', data: Buffer.from('dabc') });
    reader.beginCopy();
    expect(reader.read(Buffer.from('{}'))).toEqual({ kind: 'manifest', data: Buffer.from('{}') });
    expect(baseBackupCommand(14)).not.toContain('(');
  });

  test('with a tablespace says where, with an unknown letter fails', () => {
    const reader = new BackupStreamReader(18);
    expect(reader.read(Buffer.from('n16384.tar\0/mnt/fast\0'))).toEqual({ kind: 'tablespace', location: '/mnt/fast' });
    expect(() => reader.read(Buffer.from('z'))).toThrow(RangeError);
  });
});

describe('a backup manifest', () => {
  const digest = { size: 3, sha256: 'ab'.repeat(32) };
  const file = { Path: 'base/1/2', Size: 3, 'Last-Modified': 'x', 'Checksum-Algorithm': 'SHA256', Checksum: digest.sha256 };
  const manifest = (files: readonly object[]): Buffer => {
    const head = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": ${JSON.stringify(files)},\n`;
    return Buffer.from(`${head}"Manifest-Checksum": "${createHash('sha256').update(head).digest('hex')}"}\n`);
  };

  test('gives the digests, also of names that are no UTF-8', () => {
    const { Path: _, ...encoded } = { ...file, 'Encoded-Path': Buffer.from('base/é').toString('hex') };
    expect([...parseManifest(manifest([file, encoded]))]).toEqual([
      ['base/1/2', digest],
      ['base/é', digest],
    ]);
  });

  test('is refused when a byte of it changed, or its end is missing', () => {
    const bytes = manifest([file]);
    expect(() => parseManifest(Buffer.from(bytes.toString().replace('"Size":3', '"Size":4')))).toThrow(/checksum/);
    expect(() => parseManifest(bytes.subarray(0, bytes.length - 10))).toThrow(RangeError);
    expect(() => parseManifest(manifest([{ ...file, 'Checksum-Algorithm': 'CRC32C' }]))).toThrow(/SHA256/);
  });

  test('shows what is missing, changed or too much; WAL is not in it', () => {
    const expected = new Map([
      ['a', digest],
      ['b', digest],
      ['c', digest],
    ]);
    const received = new Map([
      ['b', { ...digest, size: 4 }],
      ['c', { ...digest, sha256: '00' }],
      ['d', digest],
      ['pg_wal/x', digest],
    ]);
    expect(findMismatches(expected, received)).toEqual([
      'a: missing',
      'b: 4 bytes instead of 3',
      'c: its checksum is wrong',
      'd: not in the manifest',
    ]);
    expect(findMismatches(expected, expected)).toEqual([]);
  });
});

describe('processes', () => {
  test('of Linux: names may hold anything, zombies are gone', () => {
    const tail = `1 ${Array.from({ length: 17 }, (_, i) => i).join(' ')} 4242 0`;
    expect(parseStat(`77 (a) b (c) S ${tail}`)).toEqual({ pid: 77, parentPid: 1, command: 'a) b (c', startedAt: '4242' });
    expect(parseStat(`77 (postgres) Z ${tail}`)).toBeNull();
    expect(parseStat('')).toBeNull();
  });

  test('of ps', () => {
    const text = '  501     1 S    Mon Nov  2 10:00:00 2026 postgres\n  502   501 Z    Mon Nov 22 10:00:01 2026 (postgres)\n';
    expect(parsePs(text)).toEqual([{ pid: 501, parentPid: 1, command: 'postgres', startedAt: 'Mon Nov  2 10:00:00 2026' }]);
  });

  test('postmaster.pid grows line by line', () => {
    expect(parsePostmasterFile('')).toBeNull();
    expect(parsePostmasterFile('12\n/data\n')).toEqual({
      pid: 12,
      dataDirectory: '/data',
      port: null,
      socketDirectory: null,
      status: null,
    });
    expect(parsePostmasterFile('12\n/data\n1700000000\n5433\n\n127.0.0.1\n  1 2\nready   \n')).toEqual({
      pid: 12,
      dataDirectory: '/data',
      port: 5433,
      socketDirectory: null,
      status: 'ready',
    });
  });
});

test('versions of every build are read', () => {
  expect(parseVersion('postgres (PostgreSQL) 18.4\n')).toEqual({ major: 18, text: '18.4' });
  expect(parseVersion('postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n')).toEqual({
    major: 15,
    text: '15.18 (Debian 15.18-0+deb12u1)',
  });
  expect(parseVersion('postgres (PostgreSQL) 19beta2\n')).toEqual({ major: 19, text: '19beta2' });
  expect(parseVersion('psql (PostgreSQL) 18.4\n')).toBeNull();
});

test('accounts are found by their whole name', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:PostgreSQL:/var:/bin/bash\n';
  expect(findAccount(passwd, 'postgres')).toEqual({ name: 'postgres', uid: 101, gid: 104 });
  expect(findAccount(passwd, 'nobody')).toBeNull();
});

test('diverged WAL is every segment from the fork on, of this timeline and before', () => {
  const names = [
    '000000010000000000000002',
    '000000010000000000000003',
    '000000010000000100000000',
    '000000020000000000000003',
    '00000002.history',
    'archive_status',
  ];
  expect(selectSegments(names, 1, 0x3000148n, 16 << 20)).toEqual([
    '000000010000000000000003',
    '000000010000000100000000',
    '00000002.history',
  ]);
  expect(selectSegments(names, 1, 0xc00148n, 4 << 20)).toEqual(selectSegments(names, 1, 0x3000148n, 16 << 20));
});
