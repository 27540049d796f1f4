import { chmod } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { frontend, readErrorFields } from '@understudy/wire';
import { observed, type Topology } from '@understudy/core/routing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { CREDENTIALS, eventually, type Member, sql } from './postgres-fixture.ts';
import { client, openProxyOn, openTopology, type ProxyBench, routable } from './proxy-fixture.ts';
import { StoppedCluster } from './stopped-cluster.ts';

describe('a primary is lost', () => {
  let stopped: StoppedCluster;
  let on: ProxyBench;
  let n2: Member;
  let n3: Member;

  beforeAll(async () => {
    stopped = await StoppedCluster.make(2, primary => sql(primary, 'CREATE TABLE t (i int PRIMARY KEY)'));
  });
  afterAll(() => stopped?.close());

  beforeEach(async () => {
    on = await openProxyOn(await stopped.open(), { holdTimeoutMs: 20_000 });
    [n2, n3] = on.replicas as [Member, Member];
  });

  afterEach(() => on?.close());

  /** The replicas have all that the primary has: what a quorum would have made sure of. */
  async function caughtUp(): Promise<void> {
    const lsn = (await sql(on.primary, 'SELECT pg_current_wal_lsn() AS l'))[0]?.['l'];
    for (const replica of on.replicas) {
      await eventually(
        async () => (await sql(replica, `SELECT pg_last_wal_replay_lsn() >= '${String(lsn)}'::pg_lsn AS ok`))[0]?.['ok'],
        'caught up',
      );
    }
  }

  function absent(reason: string): void {
    on.topology.set({ ...on.topology.current(), primary: { kind: 'absent', reason } });
  }

  /** n2 becomes the primary of term 2 and n3 follows it. */
  async function failOver(): Promise<Topology> {
    await n2.server.isolate(5_000);
    await n3.server.isolate(5_000);
    await n2.server.setSynchronousNames({ kind: 'none' }, 5_000);
    const { timeline, switchLsn } = await n2.server.promote(null, 10_000);
    await n2.server.ensureSlot('slot_n3', 5_000);
    await n3.server.follow({ host: '127.0.0.1', port: n2.spec.settings.port, applicationName: 'n3_t2', slotName: 'slot_n3' }, 5_000);
    const topology = openTopology(2, n2, [n3], timeline, [{ timeline: 1, endLsn: switchLsn }]);
    on.topology.set(topology);
    return topology;
  }

  const failureOf = async (work: Promise<unknown>): Promise<pg.DatabaseError> => {
    const outcome = await work.then(
      () => null,
      (error: unknown) => error,
    );
    expect(outcome).toBeInstanceOf(pg.DatabaseError);
    return outcome as pg.DatabaseError;
  };

  test('idle clients stay, reads go on without a primary, writes wait for the new one', async () => {
    const c = await client(on);
    await c.query('INSERT INTO t VALUES (1)');
    expect((await c.query('SELECT * FROM t')).rows).toEqual([{ i: 1 }]);
    await caughtUp();
    await on.primary.server.fence();
    absent('n1 is gone');
    expect((await c.query('SELECT i, pg_is_in_recovery() AS r FROM t')).rows).toEqual([{ i: 1, r: true }]);
    const writing = c.query('INSERT INTO t VALUES (2)');
    await eventually(async () => on.proxy.stats().held === 1, 'the write is held');
    await failOver();
    expect((await writing).rowCount).toBe(1);
    expect(observed(on.proxy.stats().holds)).toBe(1);
    expect((await c.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 2 }]);
    expect(on.events.map(e => e.kind)).toEqual(expect.arrayContaining(['held', 'switched', 'released']));
  });

  test('trap 42: a statement that comes before the news of the death waits too', async () => {
    const c = await client(on);
    await c.query('INSERT INTO t VALUES (1)');
    await caughtUp();
    await on.primary.server.fence();
    const writing = c.query('INSERT INTO t VALUES (2)');
    const late = await client(on);
    const reading = late.query('SELECT 1 AS one');
    await eventually(async () => on.proxy.stats().held >= 1, 'the write is held');
    absent('n1 is gone');
    await failOver();
    expect((await writing).rowCount).toBe(1);
    expect((await reading).rows).toEqual([{ one: 1 }]);
  });

  test('G6: a primary that panics, as it does when it cannot make a file of WAL, costs nobody the connection', async () => {
    const c = await client(on);
    await c.query('INSERT INTO t VALUES (-1)');
    await caughtUp();
    await chmod(join(on.primary.spec.paths.dataDirectory, 'pg_wal'), 0o500);
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 200; i++) await c.query('INSERT INTO t SELECT generate_series($1::int, $1::int + 19999)', [i * 20_000]);
    };
    expect((await failureOf(fill())).code).toBe('08007');
    await on.primary.server.fence();
    absent('n1 is gone');
    const writing = c.query('INSERT INTO t VALUES (-2)');
    await failOver();
    expect((await writing).rowCount).toBe(1);
  });

  test('a transaction open on the lost primary is told that it is rolled back, and the connection goes on', async () => {
    const c = await client(on);
    await c.query('BEGIN');
    await c.query('INSERT INTO t VALUES (7)');
    await caughtUp();
    await on.primary.server.fence();
    absent('n1 is gone');
    expect((await failureOf(c.query('INSERT INTO t VALUES (8)'))).code).toBe('57P01');
    expect((await failureOf(c.query('SELECT 1'))).code).toBe('25P02');
    expect((await c.query('ROLLBACK')).command).toBe('ROLLBACK');
    await failOver();
    expect((await c.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 0 }]);
    await c.query('INSERT INTO t VALUES (9)');
  });

  test('a COMMIT that was not sent before the loss fails for sure', async () => {
    const c = await client(on);
    await c.query('BEGIN');
    await c.query('INSERT INTO t VALUES (7)');
    await caughtUp();
    await on.primary.server.fence();
    await failOver();
    expect((await failureOf(c.query('COMMIT'))).code).toBe('57P01');
    expect((await c.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 0 }]);
  });

  test('a write in flight has an unknown outcome; a statement in a transaction does not', async () => {
    const [c, d] = [await client(on), await client(on)];
    await d.query('BEGIN');
    const writing = failureOf(c.query('WITH s AS (SELECT pg_sleep(60)) INSERT INTO t SELECT 5 FROM s'));
    const sleeping = failureOf(d.query('SELECT pg_sleep(60)'));
    await eventually(
      async () => (await sql(on.primary, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))[0]?.['n'] === 2,
      'both run',
    );
    await on.primary.server.fence();
    expect((await writing).code).toBe('08007');
    expect((await sleeping).code).toBe('57P01');
    await d.query('ROLLBACK');
  });

  test('trap 41: a new term cuts connections to the old primary even while it lives', async () => {
    const c = await client(on);
    await c.query('BEGIN');
    await c.query('INSERT INTO t VALUES (1)');
    const idle = await client(on);
    await idle.query('INSERT INTO t VALUES (2)');
    await caughtUp();
    await failOver();
    expect((await failureOf(c.query('COMMIT'))).code).toBe('57P01');
    await idle.query('INSERT INTO t VALUES (3)');
    expect(await sql(n2, 'SELECT i FROM t ORDER BY i')).toEqual([{ i: 2 }, { i: 3 }]);
    expect(await sql(on.primary, 'SELECT i FROM t ORDER BY i')).toEqual([{ i: 2 }]);
  });

  test('a read in flight on a replica that dies is answered by another', async () => {
    const c = await client(on);
    const other = on.topology.current();
    on.topology.set({ ...other, replicas: [routable(n2)] });
    const reading = c.query('SELECT pg_sleep(3), 42 AS answer');
    await eventually(
      async () => (await sql(n2, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))[0]?.['n'] === 1,
      'it runs on n2',
    );
    on.topology.set({ ...other, replicas: [routable(n2), routable(n3)] });
    await n2.server.fence();
    expect((await reading).rows[0]?.answer).toBe(42);
  });

  test('a client that was sent half of a large row is disconnected: anything else would be taken for the rest of it', async () => {
    const c = await client(on);
    const { stream } = (c as unknown as { connection: { stream: Socket } }).connection;
    const half = new Promise<void>(resolve => {
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes < 1 << 20) return;
        stream.pause();
        resolve();
      });
    });
    const outcome = c.query("SELECT repeat('x', 60000000)").then(
      () => 'answered',
      (error: Error) => error.message,
    );
    await half;
    for (const member of [on.primary, ...on.replicas]) await member.server.fence();
    stream.removeAllListeners('data');
    stream.resume();
    stream.on('data', () => undefined);
    expect(await outcome).toMatch(/terminated/);
  });

  test('settings, prepared statements and LISTEN go on at the new primary', async () => {
    const c = await client(on);
    const heard: string[] = [];
    c.on('notification', n => heard.push(n.payload ?? ''));
    await c.query("SET search_path = 'pg_catalog', 'public'");
    await c.query("SET work_mem = '7MB'");
    await c.query('LISTEN news');
    const named = { name: 'ins', text: 'INSERT INTO t VALUES ($1)' };
    await c.query({ ...named, values: [1] });
    await caughtUp();
    await on.primary.server.fence();
    await failOver();
    await c.query({ ...named, values: [2] });
    expect(((await c.query('BEGIN; SHOW work_mem; COMMIT')) as unknown as pg.QueryResult[])[1]?.rows).toEqual([{ work_mem: '7MB' }]);
    expect((await c.query('SHOW search_path')).rows).toEqual([{ search_path: 'pg_catalog, public' }]);
    await (await client(on)).query("NOTIFY news, 'again'");
    await eventually(async () => heard.length > 0, 'the notification comes');
    expect(heard).toEqual(['again']);
  });

  test('state that cannot be made again is reported lost, once', async () => {
    const c = await client(on);
    await c.query('CREATE TEMP TABLE mine (i int)');
    await caughtUp();
    await on.primary.server.fence();
    await failOver();
    const failure = await failureOf(c.query('SELECT 1'));
    expect(failure.code).toBe('57P01');
    expect(failure.message).toContain('temporary objects');
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('work waits no longer than the hold timeout, and a cancel ends the wait', async () => {
    const short = await openHeldProxy();
    const c = await client(short);
    await on.primary.server.fence();
    short.topology.set({ ...short.topology.current(), primary: { kind: 'absent', reason: 'nobody was elected' } });
    const failure = await failureOf(c.query('INSERT INTO t VALUES (1)'));
    expect(failure.code).toBe('57P03');
    expect(failure.message).toContain('nobody was elected');
  });

  async function openHeldProxy(): Promise<ProxyBench> {
    const { ProxyServer } = await import('../../src/proxy/proxy-server.ts');
    const { DEFAULT_PROXY_OPTIONS } = await import('../../src/proxy/options.ts');
    const router = { user: 'understudy_router', password: CREDENTIALS.router, database: 'postgres' };
    const proxy = new ProxyServer({ ...DEFAULT_PROXY_OPTIONS, port: 0, router, holdTimeoutMs: 300 }, on.topology);
    const { port } = await proxy.start();
    const before = on.close;
    on.close = async () => {
      await proxy.stop();
      await before();
    };
    return { ...on, proxy, port };
  }

  test('a switchover drains: open transactions end, new work waits, nobody sees an error', async () => {
    const [c, d] = [await client(on), await client(on)];
    await c.query('BEGIN');
    await c.query('INSERT INTO t VALUES (1)');
    expect(on.proxy.busyOnPrimary).toBe(1);
    on.topology.set({
      ...on.topology.current(),
      primary: { kind: 'draining', server: routable(on.primary), drainUntilMs: Number.POSITIVE_INFINITY },
    });
    const waiting = d.query('INSERT INTO t VALUES (2)');
    await eventually(async () => on.proxy.stats().held === 1, 'the new write is held');
    await c.query('INSERT INTO t VALUES (3)');
    await c.query('COMMIT');
    await eventually(async () => on.proxy.busyOnPrimary === 0, 'what the transaction has left is known');
    await caughtUp();
    await on.primary.server.stop(10_000);
    await failOver();
    await waiting;
    expect((await c.query('SELECT i FROM t ORDER BY i')).rows).toEqual([{ i: 1 }, { i: 2 }, { i: 3 }]);
  });

  test('a commit whose wait for replicas was cancelled is not acknowledged', async () => {
    const c = await client(on);
    await on.primary.server.setSynchronousNames({ kind: 'blocked' }, 5_000);
    const writing = failureOf(c.query('INSERT INTO t VALUES (1)'));
    await eventually(
      async () =>
        (
          await sql(
            on.primary,
            "SELECT pg_cancel_backend(pid) AS ok FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'",
          )
        )[0]?.['ok'],
      'it waits',
    );
    expect((await writing).code).toBe('08007');
    await on.primary.server.setSynchronousNames({ kind: 'none' }, 5_000);
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('trap 44: a pipeline in flight is answered in full: one error a unit, then the connection works', async () => {
    const c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser);
    const run = (text: string): Buffer =>
      Buffer.concat([frontend.parse('', text), frontend.bind('', ''), frontend.execute(), frontend.SYNC]);
    c.send(
      run('insert into t values (1)'),
      run('select pg_sleep(60) from t for update'),
      run('insert into t values (2)'),
      run('begin'),
      run('insert into t values (3)'),
    );
    const first = await c.untilReady(1);
    expect(first.map(m => m.type).join('')).toBe('12CZ');
    await eventually(
      async () => (await sql(on.primary, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))[0]?.['n'] === 1,
      'it runs',
    );
    await on.primary.server.fence();
    const rest = await c.untilReady(4);
    expect(
      rest.map(m => (m.type === 'E' ? readErrorFields(m.frame).code : m.type === 'Z' ? m.frame.toString('latin1', 5) : m.type)),
    ).toEqual(['08007', 'I', '08007', 'I', '08007', 'E', '08007', 'E']);
    c.send(run('rollback'));
    expect((await c.untilReady()).map(m => m.type).join('')).toBe('12CZ');
    await c.end();
  });
});
