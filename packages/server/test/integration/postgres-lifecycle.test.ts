import { execFileSync } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PostgresServer, serverProcesses } from '../../src/postgres/index.ts';
import {
  availableProviders,
  type Bench,
  connect,
  CREDENTIALS,
  eventually,
  type Member,
  openBench,
  sql,
  startPrimary,
} from './postgres-fixture.ts';

describe.each(availableProviders())('one server of the %s provider', kind => {
  let bench: Bench;
  let member: Member;

  beforeAll(async () => {
    bench = await openBench(kind);
    member = await bench.member('n1');
    await startPrimary(member);
  });

  afterAll(() => bench?.close());

  test('is initialised with checksums, SCRAM, UTF-8 and our roles', async () => {
    const [row] = await sql(
      member,
      `SELECT current_setting('data_checksums') AS checksums, current_setting('server_encoding') AS encoding, current_setting('wal_log_hints') AS hints,
         current_setting('restart_after_crash') AS restart, (SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolcanlogin) AS scram,
         (SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules)::text AS methods`,
    );
    expect(row).toEqual({ checksums: 'on', encoding: 'UTF8', hints: 'on', restart: 'off', scram: true, methods: '{scram-sha-256}' });
  });

  test('lets the router read a verifier, and nobody else', async () => {
    await sql(member, "CREATE ROLE alice LOGIN PASSWORD 'wonderland'");
    const router = await connect(member, 'understudy_router', CREDENTIALS.router);
    const { rows } = await router.query("SELECT * FROM understudy.user_secret('alice')");
    await router.end();
    expect(rows).toEqual([{ verifier: expect.stringMatching(/^SCRAM-SHA-256\$/), valid_until: null, can_login: true }]);
    const alice = await connect(member, 'alice', 'wonderland');
    await expect(alice.query("SELECT * FROM understudy.user_secret('alice')")).rejects.toThrow(/permission denied/);
    await alice.end();
  });

  test('is observed as a primary', async () => {
    const seen = await member.server.observe(2000);
    expect(seen).toMatchObject({
      kind: 'primary',
      timeline: 1,
      history: [],
      senders: [],
      synchronousNames: '',
      synchronousNamesInForce: true,
    });
    expect(seen.systemId).toBe(await member.server.systemId());
    expect(Math.floor(seen.serverVersion / 10_000)).toBe(bench.provider.version.major);
  });

  test('is not started twice', async () => {
    await expect(member.server.start({ role: 'primary', synchronousNames: { kind: 'none' } })).rejects.toMatchObject({
      code: 'already-running',
    });
    const other = new PostgresServer(member.spec);
    await expect(other.start({ role: 'primary', synchronousNames: { kind: 'none' } })).rejects.toMatchObject({ code: 'already-running' });
  });

  test("runs as the unprivileged account, its files are nobody else's", async () => {
    if (!bench.account) return;
    const uid = execFileSync('ps', ['-o', 'uid=', '-p', String(member.server.pid)])
      .toString()
      .trim();
    expect(Number(uid)).toBe(bench.account.uid);
    const conf = await stat(`${member.spec.paths.dataDirectory}/understudy.conf`);
    expect([conf.uid, conf.mode & 0o777]).toEqual([bench.account.uid, 0o600]);
  });

  test('commits of a blocked server wait', async () => {
    await member.server.setSynchronousNames({ kind: 'blocked' }, 5000);
    const client = await connect(member);
    const pending = client.query('CREATE TABLE waits (i int)').then(
      () => 'committed',
      () => 'failed',
    );
    await eventually(
      async () => (await sql(member, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).length > 0,
      'the commit waits',
    );
    await member.server.setSynchronousNames({ kind: 'none' }, 5000);
    expect(await pending).toBe('committed');
    await client.end();
  });

  test('ALTER SYSTEM does not override what failover rests on', async () => {
    await sql(member, "ALTER SYSTEM SET synchronous_standby_names = 'x'");
    await sql(member, "ALTER SYSTEM SET work_mem = '5MB'");
    await member.server.setSynchronousNames({ kind: 'blocked' }, 5000);
    const [row] = await sql(
      member,
      "SELECT current_setting('synchronous_standby_names') AS names, current_setting('work_mem') AS work_mem",
    );
    expect(row).toEqual({ names: 'ANY 1 (understudy_nobody)', work_mem: '5MB' });
    await member.server.setSynchronousNames({ kind: 'none' }, 5000);
  });

  test('a stopped postmaster that still accepts TCP is unresponsive, and leaks nothing', async () => {
    const postmaster = member.server.pid as number;
    await member.server.observe(5000);
    process.kill(postmaster, 'SIGSTOP');
    try {
      const before = openSockets();
      expect(await member.server.observe(5000, 'kept')).toMatchObject({ kind: 'primary' });
      await expect(member.server.observe(300)).rejects.toMatchObject({ code: 'server-unresponsive' });
      await eventually(async () => openSockets() <= before, 'the socket is closed');
    } finally {
      process.kill(postmaster, 'SIGCONT');
    }
    expect(await member.server.observe(5000)).toMatchObject({ kind: 'primary' });
  });

  test('the death of the postmaster is seen, and the next start recovers', async () => {
    const pid = member.server.pid as number;
    process.kill(pid, 'SIGKILL');
    await eventually(async () => member.server.pid === null, 'the exit');
    expect(member.exits.at(-1)).toMatchObject({ pid, signal: 'SIGKILL' });
    expect(await member.server.reportStopped()).toMatchObject({ kind: 'stopped', cleanShutdown: false, crashed: true, timeline: 1 });
    await member.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await member.server.waitUntilReady(20_000);
  });

  test('a fence kills every process, also of a stopped server', async () => {
    const client = await connect(member);
    const processes = await serverProcesses(member.spec.paths.dataDirectory);
    expect(processes.length).toBeGreaterThan(4);
    for (const { pid } of processes) process.kill(pid, 'SIGSTOP');
    expect(await member.server.fence()).toBeGreaterThanOrEqual(processes.length);
    expect(await serverProcesses(member.spec.paths.dataDirectory)).toEqual([]);
    expect(member.server.pid).toBeNull();
    await client.end().catch(() => undefined);
  });

  test('stops cleanly, and says so', async () => {
    await member.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await member.server.waitUntilReady(20_000);
    expect(await member.server.stop(10_000)).toEqual({ clean: true });
    expect(await member.server.reportStopped()).toMatchObject({ kind: 'stopped', cleanShutdown: true, crashed: false });
  });

  test('a port that is taken is named', async () => {
    const other = await bench.member('n2');
    await startPrimary(other);
    const squatter = new PostgresServer({ ...member.spec, settings: { ...member.spec.settings, port: other.spec.settings.port } });
    await squatter.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await expect(squatter.waitUntilReady(10_000)).rejects.toMatchObject({ code: 'port-in-use' });
  });
});

function openSockets(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length;
}
