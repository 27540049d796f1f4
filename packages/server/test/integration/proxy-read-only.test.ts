import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sql } from './postgres-fixture.ts';
import { client, lastRoute, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

let on: ProxyBench;

beforeAll(async () => {
  on = await openProxyBench(1);
  await sql(on.primary, 'CREATE TABLE t (i int)');
});

afterAll(() => on?.close());

const count = async (c: pg.Client): Promise<number> => (await c.query('SELECT count(*)::int AS n FROM t')).rows[0]?.n;

/** Runs the statements, and says which member answered the last one. */
async function memberOf(c: pg.Client, ...statements: readonly string[]): Promise<string> {
  for (const statement of statements) await c.query(statement);
  const member = (await lastRoute(c)).slice(0, 2);
  await c.query('ROLLBACK');
  return member;
}

describe('a read-only transaction', () => {
  test('runs on a replica from its BEGIN to its end, and sees what was acknowledged before', async () => {
    const [writer, reader] = await Promise.all([client(on), client(on)]);
    for (const begin of ['BEGIN READ ONLY', 'START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY']) {
      await writer.query('INSERT INTO t VALUES (1)');
      const before = await count(writer);
      await reader.query(begin);
      expect(await count(reader)).toBe(before);
      expect((await reader.query('SELECT pg_is_in_recovery() AS r, $1::int AS n', [7])).rows).toEqual([{ r: true, n: 7 }]);
      await writer.query('INSERT INTO t VALUES (2)');
      await reader.query('COMMIT');
      expect(await count(reader)).toBe(before + 1);
    }
  });

  test('at repeatable read keeps its snapshot', async () => {
    const [writer, reader] = await Promise.all([client(on), client(on)]);
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const before = await count(reader);
    await writer.query('INSERT INTO t VALUES (3)');
    expect(await count(writer)).toBe(before + 1);
    expect(await count(reader)).toBe(before);
    await reader.query('COMMIT');
  });

  test('refuses to write as PostgreSQL does, and goes on only after its end', async () => {
    const c = await client(on);
    await c.query('BEGIN READ ONLY');
    await expect(c.query('INSERT INTO t VALUES (4)')).rejects.toMatchObject({ code: '25006' });
    await expect(c.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await expect(c.query('SHOW understudy.route')).rejects.toMatchObject({ code: '25P02' });
    await c.query('ROLLBACK');
    await c.query('INSERT INTO t VALUES (4)');
    expect(await count(c)).toBeGreaterThan(0);
  });

  test('is told from others, by itself and by the defaults of the session', async () => {
    const c = await client(on);
    expect(await memberOf(c, 'BEGIN READ ONLY', 'SELECT 1')).toBe('n2');
    expect(await memberOf(c, 'BEGIN', 'SELECT 1')).toBe('n1');
    expect(await memberOf(c, 'BEGIN', 'SET TRANSACTION READ ONLY', 'SELECT 1')).toBe('n1');
    expect(await memberOf(c, 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE', 'SELECT 1')).toBe('n1');
    expect(await memberOf(c, '/* understudy:primary */ BEGIN READ ONLY', 'SELECT 1')).toBe('n1');
    await c.query('SET default_transaction_read_only = on');
    expect(await memberOf(c, 'BEGIN', 'SELECT 1')).toBe('n2');
    expect(await memberOf(c, 'BEGIN READ WRITE', 'SELECT 1')).toBe('n1');
    await c.query("SET understudy.route = 'primary'");
    expect(await memberOf(c, 'BEGIN', 'SELECT 1')).toBe('n1');
  });

  test('keeps what it sets for the session when it commits, and not when it does not', async () => {
    const c = await client(on);
    const workMem = async (): Promise<unknown> => (await c.query('SHOW work_mem')).rows[0]?.work_mem;
    await c.query('BEGIN READ ONLY');
    await c.query("SET work_mem = '7MB'");
    await c.query('COMMIT');
    expect(await workMem()).toBe('7MB');
    await c.query('BEGIN READ ONLY');
    await c.query("SET work_mem = '8MB'");
    await c.query("SET LOCAL work_mem = '9MB'");
    await c.query('ROLLBACK');
    expect(await workMem()).toBe('7MB');
  });

  test('is told surely rolled back when its replica is taken away', async () => {
    const c = await client(on);
    await c.query('BEGIN READ ONLY');
    await c.query('SELECT 1');
    const whole = on.topology.current();
    on.topology.set({ ...whole, replicas: [] });
    await expect(c.query('COMMIT')).rejects.toMatchObject({ code: '57P01' });
    await c.query('SELECT 1');
    on.topology.set(whole);
    expect(await memberOf(c, 'BEGIN READ ONLY', 'SELECT 1')).toMatch(/^n[12]$/);
  });
});

describe('wishes in a transaction', () => {
  test('follow the rules of SET', async () => {
    const c = await client(on);
    const level = async (): Promise<unknown> => (await c.query('SHOW understudy.consistency')).rows[0]?.['understudy.consistency'];
    await c.query('BEGIN');
    await c.query("SET understudy.consistency = 'session'");
    await c.query('SAVEPOINT a');
    await c.query("SET LOCAL understudy.consistency = 'eventual'");
    expect(await level()).toBe('eventual');
    await c.query('ROLLBACK TO a');
    expect(await level()).toBe('session');
    await c.query('ROLLBACK');
    expect(await level()).toBe('strong');
    await c.query('BEGIN');
    await c.query("SET understudy.consistency = 'session'");
    await c.query('COMMIT');
    expect(await level()).toBe('session');
  });

  test('a token is taken at the login too, and refused when it is of another cluster', async () => {
    const writer = await client(on);
    await writer.query('INSERT INTO t VALUES (5)');
    const token = String((await writer.query('SHOW understudy.token')).rows[0]?.['understudy.token']);
    const reader = await client(on, { options: `-c understudy.consistency=session -c understudy.token=${token}` });
    expect(await count(reader)).toBe(await count(writer));
    await expect(client(on, { options: '-c understudy.token=u1:1:1:0/10' })).rejects.toMatchObject({ code: '22023' });
  });
});
