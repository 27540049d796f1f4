import { once } from 'node:events';
import { connect } from 'node:net';
import { cancelRequest, frontend, readErrorFields } from '@understudy/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { CREDENTIALS, eventually, sql } from './postgres-fixture.ts';
import { client, lastRoute, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

describe('sessions through the proxy', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(2);
  });

  afterAll(() => on?.close());

  const answer = async (c: Awaited<ReturnType<typeof client>>, text: string): Promise<unknown> => {
    const row = (await c.query(text)).rows[0];
    return row === undefined ? undefined : Object.values(row)[0];
  };

  describe('settings hold on every server that a session is served by', () => {
    const onReplica = (name: string): string =>
      `SELECT current_setting('${name}', true) || CASE WHEN pg_is_in_recovery() THEN ' on a replica' ELSE ' on the primary' END`;

    test('SET, RESET, SET LOCAL and transactions that roll back', async () => {
      const c = await client(on);
      const workMem = (): Promise<unknown> => answer(c, onReplica('work_mem'));
      const byDefault = await workMem();
      expect(byDefault).toMatch(/ on a replica$/);
      await c.query("SET work_mem = '11MB'");
      expect(await workMem()).toBe('11MB on a replica');
      await c.query('BEGIN');
      await c.query("SET work_mem = '12MB'");
      await c.query('ROLLBACK');
      expect(await workMem()).toBe('11MB on a replica');
      await c.query('BEGIN');
      await c.query("SET LOCAL work_mem = '13MB'");
      expect(await workMem()).toBe('13MB on the primary');
      await c.query('COMMIT');
      expect(await workMem()).toBe('11MB on a replica');
      await c.query('BEGIN');
      await c.query('SAVEPOINT a');
      await c.query("SET work_mem = '14MB'");
      await c.query('ROLLBACK TO a');
      await c.query('COMMIT');
      expect(await workMem()).toBe('11MB on a replica');
      await c.query("BEGIN; SET work_mem = '15MB'; COMMIT");
      expect(await workMem()).toBe('15MB on a replica');
      await c.query('RESET work_mem');
      expect(await workMem()).toBe(byDefault);
    });

    test('set_config with parameters, and custom settings with odd values', async () => {
      const c = await client(on);
      await c.query("SELECT set_config('app.user', $1, false)", ["o'brien \\ é"]);
      expect(await answer(c, onReplica('app.user'))).toBe("o'brien \\ é on a replica");
      await c.query("SELECT set_config('app.user', $1, true)", ['gone']);
      expect(await answer(c, onReplica('app.user'))).toBe("o'brien \\ é on a replica");
      const name = 'app.other';
      await c.query('SELECT set_config($1, $2, false)', [name, 'x']);
      expect(await answer(c, onReplica('app.other'))).toBe('x on the primary');
    });

    test('a role, the time zone and the search path', async () => {
      const c = await client(on);
      await c.query('CREATE ROLE painter');
      await c.query(
        'CREATE SCHEMA gallery; CREATE TABLE gallery.pictures (title text); GRANT ALL ON SCHEMA gallery TO painter; GRANT ALL ON ALL TABLES IN SCHEMA gallery TO painter',
      );
      await c.query("SET TIME ZONE 'Asia/Tokyo'");
      await c.query('SET search_path TO gallery');
      await c.query('SET ROLE painter');
      expect(await answer(c, "SELECT current_user || current_setting('TimeZone') || pg_is_in_recovery()")).toBe('painterAsia/Tokyotrue');
      expect((await c.query('SELECT * FROM pictures')).rows).toEqual([]);
      expect(await lastRoute(c)).toMatch(/^n[23]/);
      await c.query('DISCARD ALL');
      expect(await answer(c, 'SELECT current_user::text || pg_is_in_recovery()')).toBe('postgrestrue');
      await expect(c.query('SELECT * FROM pictures')).rejects.toMatchObject({ code: '42P01' });
    });

    test('startup options', async () => {
      const c = await client(on, { options: '-c work_mem=9MB', application_name: 'tester' });
      expect(await answer(c, "SELECT current_setting('work_mem') || current_setting('application_name') || pg_is_in_recovery()")).toBe(
        '9MBtestertrue',
      );
    });

    test('serializable by default keeps reads on the primary, where they are possible', async () => {
      const c = await client(on);
      await c.query("SET default_transaction_isolation = 'serializable'");
      expect(await answer(c, 'SELECT pg_is_in_recovery()')).toBe(false);
      const d = await client(on, { options: '-c default_transaction_isolation=serializable' });
      expect(await answer(d, 'SELECT 1')).toBe(1);
    });
  });

  describe('state on one backend', () => {
    test('temporary tables hold reads on the primary until they are dropped with DISCARD', async () => {
      const c = await client(on);
      await c.query('CREATE TEMP TABLE mine AS SELECT 1 AS i');
      expect(await answer(c, 'SELECT i FROM mine')).toBe(1);
      await c.query('DISCARD TEMP');
      await expect(c.query('SELECT i FROM mine')).rejects.toMatchObject({ code: '42P01' });
      expect(await answer(c, 'SELECT pg_is_in_recovery()')).toBe(true);
    });

    test('advisory locks are taken on the primary and exclude each other', async () => {
      const [a, b] = [await client(on), await client(on)];
      expect(await answer(a, 'SELECT pg_try_advisory_lock(7)')).toBe(true);
      expect(await answer(b, 'SELECT pg_try_advisory_lock(7)')).toBe(false);
      expect(await answer(a, 'SELECT pg_advisory_unlock(7)')).toBe(true);
      expect(await answer(b, 'SELECT pg_try_advisory_lock(7)')).toBe(true);
    });

    test('LISTEN hears what others NOTIFY, without a query of its own', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query('LISTEN door');
      const heard = once(a, 'notification');
      await b.query("NOTIFY door, 'knock'");
      expect((await heard)[0]).toMatchObject({ channel: 'door', payload: 'knock' });
    });

    test('sequences', async () => {
      const c = await client(on);
      await c.query('CREATE SEQUENCE s');
      expect(await answer(c, "SELECT nextval('s')")).toBe('1');
      expect(await answer(c, "SELECT currval('s')")).toBe('1');
    });
  });

  describe('routing', () => {
    test('a function that writes is run on the primary once a replica has refused it, and then at once', async () => {
      const c = await client(on);
      await c.query('CREATE TABLE log (t text)');
      await c.query('CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM sly_inner(); RETURN 1; END $$');
      await c.query(
        "CREATE FUNCTION sly_inner() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN INSERT INTO log VALUES ('x'); RETURN 1; END $$",
      );
      const refusals = (): number => on.proxy.stats().retries['25006'] ?? 0;
      expect(await answer(c, '/* understudy:replica */ SELECT sly()')).toBe(1);
      expect(await answer(c, 'SELECT count(*)::int FROM log')).toBe(1);
      // News of the database's functions, which come by themselves, may make the proxy judge the statement anew once more.
      await eventually(async () => {
        const before = refusals();
        expect(await answer(c, '/* understudy:replica */ SELECT sly()')).toBe(1);
        return refusals() === before;
      }, 'the refusal is remembered');
    });

    test('functions of the database: stable ones are read on replicas once they are known, volatile ones never', async () => {
      const c = await client(on);
      await c.query('CREATE FUNCTION calm() RETURNS bool LANGUAGE sql STABLE AS $$ SELECT pg_is_in_recovery() $$');
      await c.query('CREATE FUNCTION wild() RETURNS bool LANGUAGE sql VOLATILE AS $$ SELECT pg_is_in_recovery() $$');
      await eventually(async () => (await answer(c, 'SELECT calm()')) === true, 'calm() is known');
      expect(await answer(c, 'SELECT wild()')).toBe(false);
      await c.query('CREATE OR REPLACE FUNCTION calm() RETURNS bool LANGUAGE sql VOLATILE AS $$ SELECT pg_is_in_recovery() $$');
      await eventually(async () => (await answer(c, 'SELECT calm()')) === false, 'the change is known');
    });

    test('SET understudy.route and hints choose the server', async () => {
      const c = await client(on);
      await c.query("SET understudy.route = 'primary'");
      expect(await answer(c, 'SELECT pg_is_in_recovery()')).toBe(false);
      await c.query('RESET understudy.route');
      expect(await answer(c, 'SELECT pg_is_in_recovery()')).toBe(true);
      expect(await answer(c, '/* understudy:primary */ SELECT pg_is_in_recovery()')).toBe(false);
      await expect(c.query("SET understudy.route = 'moon'")).rejects.toMatchObject({ code: '22023' });
      await expect(c.query('SHOW understudy.nonsense')).rejects.toMatchObject({ code: '42704' });
      expect(await answer(c, 'SHOW understudy.route')).toBe('auto');
    });

    test('a token carries a write to another session', async () => {
      const [writer, reader] = [await client(on), await client(on)];
      await reader.query("SET understudy.consistency = 'session'");
      await writer.query('CREATE TABLE carried (i int)');
      for (let i = 1; i <= 50; i++) {
        await writer.query('INSERT INTO carried VALUES ($1)', [i]);
        const token = String(await answer(writer, 'SHOW understudy.token'));
        await reader.query(`SET understudy.token = '${token}'`);
        expect(await answer(reader, 'SELECT count(*)::int FROM carried')).toBe(i);
      }
      await expect(reader.query("SET understudy.token = 'u1:1:1:0/0'")).rejects.toMatchObject({ code: '22023' });
    });

    test('prepared statements run wherever their reads go', async () => {
      const c = await client(on);
      const named = { name: 'where', text: 'SELECT pg_is_in_recovery() AS r, $1::int AS i' };
      expect((await c.query({ ...named, values: [1] })).rows).toEqual([{ r: true, i: 1 }]);
      await c.query('BEGIN');
      expect((await c.query({ ...named, values: [2] })).rows).toEqual([{ r: false, i: 2 }]);
      await c.query('COMMIT');
      for (let i = 0; i < 20; i++) expect((await c.query({ ...named, values: [i] })).rows).toEqual([{ r: true, i }]);
    });
  });

  describe('cancel', () => {
    async function cancelWith(key: Parameters<typeof cancelRequest>[0]): Promise<void> {
      const socket = connect(on.port, '127.0.0.1');
      socket.write(cancelRequest(key));
      socket.resume();
      await once(socket, 'close');
    }

    test.each([
      [0, 4],
      [2, 32],
    ])('ends a statement (protocol 3.%i, a key of %i bytes), and a wrong key does not', async (minor, bytes) => {
      const c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser, {}, minor);
      const key = c.key;
      if (key === null) throw new Error('no key');
      expect(key.secret.length).toBe(bytes);
      for (const text of ['select pg_sleep(30)', 'begin; select pg_sleep(30)']) {
        c.send(frontend.query(text));
        await eventually(async () => {
          for (const server of [on.primary, ...on.replicas]) {
            if ((await sql(server, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length > 0) return true;
          }
          return false;
        }, 'it runs');
        await cancelWith({ ...key, secret: Buffer.alloc(bytes, 1) });
        expect(c.pending.replaceAll(/[TC]/g, '')).toBe('');
        await cancelWith(key);
        const received = await c.untilReady();
        const error = received.find(m => m.type === 'E');
        expect(error && readErrorFields(error.frame).code).toBe('57014');
      }
      await cancelWith(key);
      c.send(frontend.query('rollback'));
      await c.untilReady();
      await c.end();
    });
  });

  describe('large results', () => {
    const ROW_BYTES = 1_000_000;
    const ROWS = 300;

    test('trap 18: a reader that stops reading does not fill the memory, and gets everything in the end', async () => {
      const c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser);
      c.socket.pause();
      global.gc?.();
      const before = process.memoryUsage().rss;
      c.send(frontend.query(`SELECT repeat('x', ${ROW_BYTES}) FROM generate_series(1, ${ROWS})`));
      const waitingOnClient = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%generate_series%'";
      await eventually(
        async () => (await Promise.all([on.primary, ...on.replicas].map(s => sql(s, waitingOnClient)))).some(rows => rows.length > 0),
        'the server waits for the client',
      );
      expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
      c.socket.resume();
      let bytes = 0;
      for (;;) {
        const { type, frame } = await c.next();
        if (type === 'D') bytes += frame.length - 11;
        if (type === 'Z') break;
      }
      expect(bytes).toBe(ROWS * ROW_BYTES);
      await c.end();
    });
  });
});
