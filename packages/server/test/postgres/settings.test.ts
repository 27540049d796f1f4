import { postgresSettingFault } from '@understudy/core/cluster';
import { describe, expect, test } from 'vitest';
import { formatConninfo, parseConninfo } from '../../src/postgres/conninfo.ts';
import {
  DEFAULT_SETTINGS,
  ISOLATED,
  ownedSettings,
  quoteSetting,
  readReplicationSettings,
  renderConfig,
  renderDefaults,
  type ReplicationSettings,
  walLimits,
} from '../../src/postgres/settings.ts';
import { withoutSettings } from '../../src/postgres/settings-files.ts';

const settings = { ...DEFAULT_SETTINGS, port: 5433 };
const following: ReplicationSettings = {
  synchronousNames: { kind: 'blocked' },
  upstream: { host: '127.0.0.1', port: 5432, applicationName: 'n2_t7', slotName: 'slot_n2' },
};

describe('renderConfig', () => {
  test('blocks commits and follows nobody unless it is told otherwise', () => {
    const config = renderConfig(18, settings, ISOLATED, '/p');
    expect(config).toContain("synchronous_standby_names = 'ANY 1 (understudy_nobody)'\n");
    expect(config).toContain("primary_conninfo = ''\n");
    expect(config).toContain("restart_after_crash = 'off'\n");
  });

  test('streams under the name of the term, with the password in a file', () => {
    const config = renderConfig(18, settings, following, '/pass/n2_t7.pgpass');
    expect(config).toMatch(/^primary_conninfo = '.*application_name=''n2_t7''.*'$/m);
    expect(config).toMatch(/^primary_conninfo = '.*passfile=''\/pass\/n2_t7\.pgpass''.*'$/m);
    expect(config).toContain("primary_slot_name = 'slot_n2'\n");
    expect(config).not.toMatch(/password=/);
  });

  test('synchronises slots only where PostgreSQL can', () => {
    expect(renderConfig(18, settings, following, '/p')).toContain("sync_replication_slots = 'on'");
    expect(renderConfig(18, settings, ISOLATED, '/p')).toContain("sync_replication_slots = 'off'");
    const cascading = { ...following, upstream: { ...following.upstream!, applicationName: 'n3_t7_from_n2' } };
    expect(renderConfig(18, settings, cascading, '/p')).toContain("sync_replication_slots = 'off'");
    expect(renderConfig(16, settings, following, '/p')).not.toContain('sync_replication_slots');
    const leading = { synchronousNames: { kind: 'quorum', acks: 1, names: ['n2_t7', 'n3_t7'] }, upstream: null } as const;
    expect(renderConfig(18, settings, leading, '/p')).toContain("synchronized_standby_slots = 'understudy_n2, understudy_n3'");
    expect(renderConfig(18, settings, ISOLATED, '/p')).toContain("synchronized_standby_slots = ''");
    expect(renderConfig(16, settings, leading, '/p')).not.toContain('synchronized_standby_slots');
  });

  test('carries its replication settings, to be read back', () => {
    expect(readReplicationSettings(renderConfig(18, settings, following, '/p'))).toEqual(following);
    expect(readReplicationSettings('# something else\n')).toBeNull();
    expect(readReplicationSettings('# state: {broken\n')).toBeNull();
  });
});

test('a setting survives quotes and backslashes', () => {
  expect(quoteSetting("it's C:\\x")).toBe("'it''s C:\\\\x'");
});

describe('conninfo', () => {
  test('reads back what it writes', () => {
    const options = { host: '::1', password: "a'b\\c d", application_name: '' };
    expect(parseConninfo(formatConninfo(options))).toEqual(options);
  });

  test('reads what PostgreSQL shows', () => {
    expect(parseConninfo('user=u passfile=/x/y application_name=n2_t7 fallback_application_name=walreceiver')).toMatchObject({
      application_name: 'n2_t7',
      user: 'u',
    });
    expect(parseConninfo('')).toEqual({});
  });
});

test('only settings that failover rests on are taken out of postgresql.auto.conf', () => {
  const text = "# comment\nwork_mem = '5MB'\nSynchronous_Standby_Names = ''\nfsync='off'\nmy.setting = 'x'\n";
  expect(withoutSettings(text, ownedSettings(18))).toBe("# comment\nwork_mem = '5MB'\nmy.setting = 'x'\n");
});

test('everything that understudy.conf sets is refused to an operator, with the reason', () => {
  const tls = renderConfig(18, { ...settings, tlsDirectory: '/tls' }, ISOLATED, '/p');
  const owned = [...tls.matchAll(/^(\w+) = /gm)].map(match => match[1]!);
  expect(owned.length).toBeGreaterThan(30);
  for (const name of owned) expect(postgresSettingFault(name, 'x'), name).toMatch(/^is set by Understudy itself: /);
  expect(postgresSettingFault('max_connections', '300')).toBeNull();
});

test('what an operator has set comes after the defaults', () => {
  const text = renderDefaults({ ...settings, operator: { shared_buffers: '1GB', 'my.setting': "it's" } });
  expect(text.indexOf("shared_buffers = '128MB'")).toBeLessThan(text.indexOf("shared_buffers = '1GB'"));
  expect(text).toContain("my.setting = 'it''s'\n");
});

describe('how much WAL may lie about', () => {
  const GIB = 1024 ** 3;

  test.each([
    ['a large disk: the defaults', 500 * GIB, { maxWalMb: 2048, slotWalKeepMb: 4096, walKeepMb: 128 }],
    ['a small one: a part of it', 4 * GIB, { maxWalMb: 409, slotWalKeepMb: 1024, walKeepMb: 128 }],
    ['a tiny one: what PostgreSQL needs at least', GIB / 4, { maxWalMb: 96, slotWalKeepMb: 96, walKeepMb: 32 }],
  ])('%s', (_name, bytes, limits) => {
    expect(walLimits(bytes)).toEqual(limits);
  });
});
