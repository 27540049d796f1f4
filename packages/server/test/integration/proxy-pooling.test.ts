import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ProxyOptions } from '../../src/proxy/options.ts';
import { eventually, sql } from './postgres-fixture.ts';
import { client, lastRoute, openProxyBench, type ProxyBench, secondProxy } from './proxy-fixture.ts';

/** One connection to each server, so that every pair of clients must share it. */
const ONE: Partial<ProxyOptions> = { poolSize: 1 };

describe('backends shared by sessions', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1, ONE);
  });

  afterAll(() => on?.close());

  const answer = async (c: pg.Client, text: string, values: readonly unknown[] = []): Promise<unknown> => {
    const row = (await c.query(text, [...values])).rows[0];
    return row === undefined ? undefined : Object.values(row)[0];
  };
  const onPrimary = (text: string): string => `/* understudy:primary */ ${text}`;
  /** Connections of clients to the primary. */
  const backends = async (): Promise<number> => {
    const [row] = await sql(
      on.primary,
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'postgres' AND pid <> pg_backend_pid()",
    );
    return Number(row?.['n']);
  };

  test('clients that only wait cost no backend, and many that work share one', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => client(on)));
    expect(await backends()).toBe(1);
    await clients[0]?.query('CREATE TABLE shared (i int, by int)');
    await Promise.all(
      clients.map(async (c, n) => {
        for (let i = 0; i < 5; i++) {
          await c.query('BEGIN');
          await c.query('INSERT INTO shared VALUES ($1, $2)', [i, n]);
          expect(await answer(c, 'SELECT count(*)::int FROM shared WHERE by = $1', [n])).toBe(i + 1);
          await c.query('COMMIT');
          expect(await answer(c, 'SELECT count(*)::int FROM shared WHERE by = $1', [n])).toBe(i + 1);
        }
      }),
    );
    expect(await backends()).toBe(1);
  });

  describe('settings', () => {
    test('stay with their client, whatever serves it', async () => {
      const [a, b] = [await client(on), await client(on, { options: '-c work_mem=9MB', application_name: 'b' })];
      const workMem = (c: pg.Client): Promise<unknown> => answer(c, onPrimary("SELECT current_setting('work_mem')"));
      const byDefault = await workMem(a);
      await a.query("SET work_mem = '11MB'");
      await a.query("SET app.tenant = 'a'");
      expect([await workMem(a), await workMem(b)]).toEqual(['11MB', '9MB']);
      expect((await answer(b, onPrimary("SELECT current_setting('app.tenant', true)"))) || null).toBeNull();
      await b.query("SET work_mem = '12MB'");
      expect([await workMem(a), await workMem(b)]).toEqual(['11MB', '12MB']);
      await a.query('RESET work_mem');
      await b.query('RESET ALL');
      expect([await workMem(a), await workMem(b)]).toEqual([byDefault, '9MB']);
      expect(await answer(b, 'SHOW application_name')).toBe('b');
      expect(await answer(a, onPrimary("SELECT current_setting('app.tenant')"))).toBe('a');
    });

    test("an application's own outlive a look at the whole session, and are taken off for others", async () => {
      const [a, b] = [await client(on), await client(on)];
      const own = (c: pg.Client, name: string): Promise<unknown> => answer(c, onPrimary(`SELECT current_setting('app.${name}', true)`));
      await a.query("SET app.kept = 'of a'");
      await a.query("SET app.empty = ''");
      // The session is looked at whole when it may have made or dropped such things.
      await a.query('CREATE TEMP TABLE looked (i int)');
      await a.query('DISCARD TEMP');
      await a.query("BEGIN; SELECT pg_advisory_lock(1); SET app.late = 'too'; SELECT pg_advisory_unlock(1); COMMIT");
      await a.query("RESET work_mem; SET app.beside = 'a reset'");
      for (const name of ['kept', 'late', 'beside']) expect([name, (await own(b, name)) || null]).toEqual([name, null]);
      expect([await own(a, 'kept'), await own(a, 'empty'), await own(a, 'late'), await own(a, 'beside')]).toEqual([
        'of a',
        '',
        'too',
        'a reset',
      ]);
      await a.query('RESET app.kept');
      expect((await own(a, 'kept')) || null).toBeNull();
      await a.query('DISCARD ALL');
      for (const name of ['late', 'beside']) expect([name, (await own(a, name)) || null]).toEqual([name, null]);
    });

    test('a role is taken off before another client comes', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query('CREATE ROLE guest');
      await a.query('SET ROLE guest');
      expect(await answer(b, onPrimary('SELECT current_user::text'))).toBe('postgres');
      expect(await answer(a, onPrimary('SELECT current_user::text'))).toBe('guest');
      await a.query("SET SESSION AUTHORIZATION 'guest'");
      expect(await answer(b, onPrimary('SELECT session_user::text'))).toBe('postgres');
      expect(await answer(a, onPrimary('SELECT session_user::text'))).toBe('guest');
    });

    test('what a function hides does not reach the next client', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query(
        "CREATE FUNCTION hide() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.secret', 'a', false); PERFORM set_config('work_mem', '13MB', false); END $$",
      );
      await a.query('SELECT hide()');
      expect((await answer(b, onPrimary("SELECT current_setting('app.secret', true)"))) || null).toBeNull();
      expect(await answer(b, onPrimary("SELECT current_setting('work_mem')"))).not.toBe('13MB');
      expect(await answer(a, onPrimary("SELECT current_setting('work_mem')"))).toBe('13MB');
    });

    test('what a trigger leaves does not reach the next client, nor what a function leaves that a trigger calls', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query(
        `CREATE TABLE fired (i int);
         CREATE FUNCTION note_down() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('work_mem', '14MB', false); END $$;
         CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           PERFORM set_config('app.trigger', 'a', false); PERFORM note_down(); PERFORM pg_advisory_lock(99); RETURN NEW; END $$;
         CREATE TRIGGER fires AFTER INSERT ON fired FOR EACH ROW EXECUTE FUNCTION fire()`,
      );
      await a.query('INSERT INTO fired VALUES (1)');
      // The lock that the trigger took is the session's: it stays on its connection until it has given it back.
      expect(await answer(a, onPrimary('SELECT pg_advisory_unlock(99)'))).toBe(true);
      expect((await answer(b, onPrimary("SELECT current_setting('app.trigger', true)"))) || null).toBeNull();
      expect(await answer(b, onPrimary("SELECT current_setting('work_mem')"))).not.toBe('14MB');
      expect(await answer(a, onPrimary("SELECT current_setting('work_mem')"))).toBe('14MB');
      await a.query('DROP TABLE fired');
    });

    test('statements are read under the settings of their own client', async () => {
      const [a, b] = [await client(on), await client(on)];
      const named = { name: 'day', text: onPrimary("SELECT to_char('01/02/2020'::date, 'Mon')") };
      const month = async (c: pg.Client): Promise<unknown> => (await c.query(named)).rows[0]?.to_char;
      await b.query("SET datestyle = 'DMY'");
      expect([await month(a), await month(b), await month(a), await month(b)]).toEqual(['Jan', 'Feb', 'Jan', 'Feb']);
    });
  });

  describe('session state', () => {
    test('holds the backend while it is there, and no longer', async () => {
      const [a, b] = [await client(on), await client(on)];
      const states: readonly (readonly [make: string, drop: string])[] = [
        ['CREATE TEMP TABLE mine (i int)', 'DROP TABLE mine'],
        ['SELECT pg_advisory_lock(3)', 'SELECT pg_advisory_unlock(3)'],
        ['LISTEN bell', 'UNLISTEN bell'],
        ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CLOSE c'],
        ['PREPARE p AS SELECT 1', 'DEALLOCATE p'],
        ['DO $$ BEGIN PERFORM pg_advisory_lock(4); END $$', 'DO $$ BEGIN PERFORM pg_advisory_unlock(4); END $$'],
      ];
      for (const [make, drop] of states) {
        await a.query(make);
        let done = false;
        const other = answer(b, onPrimary('SELECT 1 AS one')).then(one => {
          done = true;
          return one;
        });
        // The other client's turn does not come while this one is served again and again.
        for (let i = 0; i < 3; i++) await a.query(onPrimary('SELECT 2'));
        expect([make, done]).toEqual([make, false]);
        await a.query(drop);
        expect(await other).toBe(1);
      }
    });

    test('that was rolled back holds nothing', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query('BEGIN');
      await a.query('CREATE TEMP TABLE undone (i int)');
      await a.query('ROLLBACK');
      expect(await answer(b, onPrimary('SELECT 1 AS one'))).toBe(1);
    });

    test('of a client that leaves is wiped, an open transaction with it', async () => {
      const a = await client(on);
      await a.query('CREATE TABLE kept (i int)');
      await a.query('CREATE TEMP TABLE left_over (i int)');
      await a.query("SET work_mem = '17MB'");
      await a.query('BEGIN');
      await a.query('INSERT INTO kept VALUES (1)');
      await a.end();
      const b = await client(on);
      expect(await answer(b, 'SELECT count(*)::int FROM kept')).toBe(0);
      expect(await answer(b, onPrimary("SELECT to_regclass('left_over')"))).toBeNull();
      expect(await answer(b, onPrimary("SELECT current_setting('work_mem')"))).not.toBe('17MB');
    });

    test('sequences: currval is the own one, or an error, never that of another client', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query('CREATE SEQUENCE numbers');
      await a.query("SELECT nextval('numbers')");
      await b.query("SELECT nextval('numbers')");
      await expect(a.query("SELECT currval('numbers')")).rejects.toMatchObject({ code: '55000' });
      // From now on this client is known to ask such questions, and keeps its backend.
      const later = b.query("SELECT nextval('numbers')");
      expect(await answer(a, "SELECT nextval('numbers')")).toBe('3');
      expect(await answer(a, "SELECT currval('numbers')")).toBe('3');
      await a.query('DISCARD ALL');
      await later;
    });
  });

  describe('prepared statements', () => {
    test('of one name and other texts do not meet', async () => {
      const clients = await Promise.all(Array.from({ length: 4 }, () => client(on)));
      for (let round = 0; round < 3; round++) {
        const rows = await Promise.all(
          clients.map((c, n) => c.query({ name: 's', text: onPrimary(`SELECT ${n} AS n, $1::int AS i`), values: [round] })),
        );
        expect(rows.map(r => r.rows[0])).toEqual(clients.map((_, n) => ({ n, i: round })));
      }
    });

    test('of the same text are one on the server, those without a name too', async () => {
      const [a, b] = [await client(on), await client(on)];
      const text = onPrimary('SELECT $1::int + 1000 AS sum');
      for (const c of [a, b, a, b]) expect(await answer(c, text, [1])).toBe(1001);
      await a.query({ name: 'mine', text, values: [1] });
      const own = await answer(
        a,
        onPrimary("SELECT count(*)::int FROM pg_prepared_statements WHERE statement LIKE '%+ 1000%' AND name <> ''"),
      );
      expect(own).toBe(1);
    });

    test('outlive a change of what they select from', async () => {
      const [a, b] = [await client(on), await client(on)];
      await a.query('CREATE TABLE growing (i int)');
      await a.query('INSERT INTO growing VALUES (1)');
      const named = { name: 'all', text: onPrimary('SELECT * FROM growing') };
      const unnamed = (c: pg.Client): Promise<pg.QueryResult> => c.query(onPrimary('SELECT * FROM growing WHERE i = $1'), [1]);
      for (const c of [a, b]) {
        expect((await c.query(named)).rows).toEqual([{ i: 1 }]);
        expect((await unnamed(c)).rows).toEqual([{ i: 1 }]);
      }
      // Not through the proxy: it cannot know.
      await sql(on.primary, "ALTER TABLE growing ADD COLUMN t text DEFAULT 'new'");
      for (const c of [a, b]) {
        expect((await unnamed(c)).rows).toEqual([{ i: 1, t: 'new' }]);
        expect((await c.query({ ...named, name: 'again' })).rows).toEqual([{ i: 1, t: 'new' }]);
      }
    });
  });

  test('a read goes to the replica while its client holds the primary', async () => {
    const c = await client(on);
    await c.query('LISTEN here');
    await c.query('SELECT 1');
    expect(await lastRoute(c)).toMatch(/^n2/);
    await c.query('UNLISTEN *');
  });

  describe('limits and modes', () => {
    test('who waits too long for a backend is told so', async () => {
      const other = await secondProxy(on, { ...ONE, queueTimeoutMs: 200 });
      const [a, b] = [await client(other), await client(other)];
      await a.query('BEGIN');
      await a.query('SELECT 1');
      await expect(b.query(onPrimary('SELECT 1'))).rejects.toMatchObject({ code: '53300' });
      await a.query('COMMIT');
      expect(await answer(b, onPrimary('SELECT 1 AS one'))).toBe(1);
    });

    test('pool mode session: a client keeps its backend until it leaves', async () => {
      const other = await secondProxy(on, { ...ONE, poolMode: 'session' });
      const a = await client(other);
      const b = await client(other);
      await a.query("SELECT set_config('work_mem', '19MB', false)");
      const waiting = answer(b, onPrimary("SELECT current_setting('work_mem')"));
      expect(await answer(a, onPrimary("SELECT current_setting('work_mem')"))).toBe('19MB');
      await a.end();
      expect(await waiting).not.toBe('19MB');
    });

    test('pool mode transaction: nothing is kept for a client, and nothing left to others', async () => {
      const other = await secondProxy(on, { ...ONE, poolMode: 'transaction' });
      const [a, b] = [await client(other), await client(other)];
      await a.query('CREATE TEMP TABLE brief (i int)');
      expect(await answer(b, onPrimary("SELECT to_regclass('brief')"))).toBeNull();
      expect(await answer(a, onPrimary("SELECT to_regclass('brief')"))).toBeNull();
    });

    test('few prepared statements are kept on a backend, all keep working', async () => {
      const other = await secondProxy(on, { ...ONE, maxServerStatements: 5 });
      const c = await client(other);
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 20; i++) {
          expect((await c.query({ name: `n${i}`, text: onPrimary(`SELECT ${i} AS n`) })).rows).toEqual([{ n: i }]);
        }
      }
      expect(Number(await answer(c, onPrimary('SELECT count(*)::int FROM pg_prepared_statements')))).toBeLessThanOrEqual(7);
    });

    test('a backend that nobody uses is closed', async () => {
      const before = await backends();
      const other = await secondProxy(on, { serverIdleMs: 100 });
      const c = await client(other);
      await c.query(onPrimary('SELECT 1'));
      await eventually(async () => (await backends()) <= before, 'it is closed');
      expect(await answer(c, onPrimary('SELECT 1 AS one'))).toBe(1);
    });
  });
});
