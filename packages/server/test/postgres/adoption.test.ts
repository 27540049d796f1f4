import { expect, test } from 'vitest';
import { serviceOf } from '../../src/agent/survival.ts';
import { releasedAutoConf } from '../../src/postgres/adoption/auto-conf.ts';
import { withBlock, withoutBlock } from '../../src/postgres/adoption/marked-block.ts';
import { withoutIncludes } from '../../src/postgres/adoption/release.ts';
import { ownHbaLines } from '../../src/postgres/settings-files.ts';
import { DEFAULT_SETTINGS, ISOLATED, renderConfig, renderDefaults } from '../../src/postgres/settings.ts';

test('lines of ours come to a file, are replaced there, and go without a trace', () => {
  for (const text of ['', 'port = 5432\n', 'port = 5432', '# a\n\n\nb\n']) {
    const once = withBlock(text, 'end', 'why', ['include = x']);
    expect(withBlock(once, 'end', 'why', ['include = x'])).toBe(once);
    expect(withBlock(once, 'end', 'why', ['include = y'])).toContain('include = y');
    expect(withoutBlock(once)).toBe(text === '' || text.endsWith('\n') ? text : `${text}\n`);
    const front = withBlock(text, 'front', 'why', ['host all']);
    expect(front.startsWith('# >>> Understudy: why\nhost all\n# <<< Understudy\n')).toBe(true);
    expect(withoutBlock(front)).toBe(text);
  }
});

test('a released server keeps what it runs with, and gets back what was taken out, but for replication', () => {
  const now = "# written by ALTER SYSTEM\nwork_mem = '9MB'\nmax_wal_senders = '5'\n";
  const before = "wal_keep_size = '1GB'\nwork_mem = '1MB'\nprimary_conninfo = 'host=old'\nsynchronous_standby_names = 'r1'\n";
  const settings = new Map([
    ['max_wal_senders', '32'],
    ['primary_conninfo', "host='new' password='it''s'"],
  ]);
  expect(releasedAutoConf(now, before, settings)).toBe(
    "# written by ALTER SYSTEM\nwork_mem = '9MB'\nwal_keep_size = '1GB'\nmax_wal_senders = '32'\nprimary_conninfo = 'host=''new'' password=''it''''s'''\n",
  );
  const again = releasedAutoConf(releasedAutoConf(now, before, settings), before, settings);
  expect(again).toBe(releasedAutoConf(now, before, settings));
});

test('an adopted server keeps its addresses, its sockets and its room, and its own defaults', () => {
  const adopted = { listenAddresses: '*', socketDirectories: ['/run/postgresql'], maxWalSenders: 50, maxReplicationSlots: 4 };
  const settings = { ...DEFAULT_SETTINGS, port: 5432, operator: { work_mem: '5MB' }, adopted };
  const text = renderConfig(15, settings, ISOLATED, '/pass');
  for (const line of ["listen_addresses = '*'", "max_wal_senders = '50'", "max_replication_slots = '32'", "restore_command = ''"])
    expect(text.split('\n')).toContain(line);
  expect(renderDefaults(settings).split('\n').slice(1)).toEqual(["work_mem = '5MB'", '']);
});

test('what Understudy has made keeps its defaults in its own file', () => {
  const made =
    "port = 1\n\n# Added by Understudy: x\ninclude = 'understudy-defaults.conf'\ninclude_if_exists = 'user.conf'\ninclude = 'understudy.conf'\n";
  const plain = withoutIncludes(made, "max_connections = '200'\n");
  expect(plain).toBe("port = 1\n\nmax_connections = '200'\ninclude_if_exists = 'user.conf'\n");
  expect(withoutIncludes(plain, '')).toBe(plain);
});

test('rules of ours name roles of ours only', () => {
  const roles = ['understudy_replication', 'understudy', 'understudy_router'];
  for (const streaming of ['password', 'certificate'] as const) {
    for (const line of ownHbaLines({ streaming, roles })) expect(line.split(/ +/)[2]).toMatch(/^understudy[a-z_,]*$/);
  }
});

test('the unit of systemd that a process belongs to', () => {
  expect(serviceOf('0::/system.slice/understudy-member.service\n')).toBe('understudy-member.service');
  expect(serviceOf('0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n')).toBe('postgresql@15-main.service');
  expect(serviceOf('12:pids:/x.service\n1:name=systemd:/system.slice/a.service/sub\n')).toBe('a.service');
  expect(serviceOf('0::/user.slice/user-0.slice/session-1.scope\n')).toBeNull();
  expect(serviceOf('')).toBeNull();
});
