import { expect, test } from 'vitest';
import { PostgresError } from '../../src/postgres/errors.ts';
import { DEFAULT_SETTINGS, primaryConninfo, renderConfig } from '../../src/postgres/settings.ts';
import { isLastRecord, sourceFault, UnfitSource } from '../../src/postgres/source.ts';

const SOURCE = { hosts: [{ host: 'a.test', port: 5432 }], user: 'streamer', tls: null };
const upstream = { host: 'a.test', port: 5432, applicationName: 'n1_t7_standby', slotName: 'standby_main', source: SOURCE };

test('a shutdown checkpoint is the last record when nothing but itself lies behind it', () => {
  const at = 0x2000028n;
  expect(isLastRecord(at, at + 120n)).toBe(true);
  expect(isLastRecord(at, at + 128n)).toBe(true);
  // What a server writes when it starts again: a snapshot of its transactions.
  expect(isLastRecord(at, at + 120n + 56n)).toBe(false);
  expect(isLastRecord(at, at)).toBe(false);
  // Across the end of a page, whose header counts.
  const late = 0x2002000n - 50n;
  expect(isLastRecord(late, late + 144n)).toBe(true);
  expect(isLastRecord(late, late + 144n + 56n)).toBe(false);
});

test('a standby leader streams as the role of the source, secured as the source is', () => {
  const plain = primaryConninfo(upstream, '/pass', '/tls');
  expect(plain).toContain("user='streamer'");
  expect(plain).toContain("sslmode='verify-ca' sslrootcert='/tls/ca.crt'");
  const tls = { mode: 'verify-full', rootCert: '/source.crt', cert: null, key: null } as const;
  const secured = primaryConninfo({ ...upstream, source: { ...SOURCE, tls } }, '/pass', '/tls');
  expect(secured).toContain("sslmode='verify-full' sslrootcert='/source.crt'");
  expect(secured).not.toContain('sslcert');
  expect(primaryConninfo({ ...upstream, source: { ...SOURCE, user: null } }, '/pass', null)).toContain("user='understudy_replication'");
});

test('it keeps no copies of logical slots, which only a member of the source may have', () => {
  const config = renderConfig(18, { ...DEFAULT_SETTINGS, port: 1 }, { synchronousNames: { kind: 'blocked' }, upstream }, '/pass');
  expect(config).toContain("sync_replication_slots = 'off'");
});

test('what is wrong with a server of the source is told by its kind', () => {
  const at = { host: 'a.test', port: 5432 };
  expect(sourceFault(at, new UnfitSource('other-version', 'it is PostgreSQL 15'))).toEqual({
    ...at,
    code: 'other-version',
    why: 'it is PostgreSQL 15',
  });
  expect(sourceFault(at, new PostgresError('authentication-failed', 'no')).code).toBe('login');
  expect(sourceFault(at, new PostgresError('connection-refused', 'no')).code).toBe('unreachable');
});
