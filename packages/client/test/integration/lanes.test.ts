import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import pg from 'pg';
import { type ClientBench, openClientBench, type RoutedPool } from './fixture.ts';

let bench: ClientBench;
let pool: RoutedPool;

beforeAll(async () => {
  bench = await openClientBench(1);
  pool = bench.pool({ max: 20 });
  await pool.query('CREATE TABLE item (id int primary key, label text)');
  await pool.query("INSERT INTO item SELECT g, 'item ' || g FROM generate_series(1, 1000) g");
});

afterAll(async () => bench?.close());

const READ = 'SELECT id, label FROM item WHERE id = $1';

/** Runs the statement until it is known to be quick and reads of it share a connection. */
async function untilShared(on: RoutedPool, text: string, values: unknown[]): Promise<void> {
  const { shared } = on.routes;
  const deadline = performance.now() + 20_000;
  while (on.routes.shared === shared) {
    if (performance.now() > deadline) throw new Error(`${text} never shared a connection`);
    await on.query(text, values).catch(() => undefined);
  }
}

describe('shared connections', () => {
  it('carry many reads at once, and give each its own rows', async () => {
    await untilShared(pool, READ, [1]);
    const before = pool.routes.shared;
    const many = Array.from({ length: 200 }, (_, i) => i + 1);
    const answers = await Promise.all(many.map(id => pool.query(READ, [id])));
    answers.forEach((answer, i) => {
      expect(answer).toBeInstanceOf(pg.Result);
      expect(answer).toMatchObject({ command: 'SELECT', rowCount: 1, rows: [{ id: i + 1, label: `item ${i + 1}` }] });
      expect(answer.fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
        ['id', 23],
        ['label', 25],
      ]);
    });
    // On a machine that stalls, some leave and go alone.
    expect(pool.routes.shared - before).toBeGreaterThan(0);
    expect(pool.last?.role).toBe('replica');
  });

  it('take every kind of parameter and of result that pg takes', async () => {
    const text =
      'SELECT $1::int[] AS list, $2::bytea AS bytes, $3::timestamptz AS at, $4::jsonb AS doc, $5::text AS nothing, $6::bool AS yes';
    const values = [[1, 2], Buffer.from([0, 255]), new Date(0), { a: ['ü'] }, null, true];
    await untilShared(pool, text, values);
    const before = pool.routes.shared;
    const { rows } = await pool.query(text, values);
    expect(pool.routes.shared).toBe(before + 1);
    expect(rows).toEqual([{ list: [1, 2], bytes: Buffer.from([0, 255]), at: new Date(0), doc: { a: ['ü'] }, nothing: null, yes: true }]);
    const asArrays = await pool.query({ text, values, rowMode: 'array' } as pg.QueryArrayConfig);
    expect(asArrays.rows[0]).toHaveLength(6);
    const own = { getTypeParser: () => (raw: string) => `raw ${raw}` };
    const parsed = await pool.query({ text: READ, values: [7], types: own as pg.CustomTypesConfig });
    expect(parsed.rows).toEqual([{ id: 'raw 7', label: 'raw item 7' }]);
  });

  it('keep the error of one read from all others', async () => {
    const text = 'SELECT 100 / (id - $1::int) AS x FROM item WHERE id = $2';
    await untilShared(pool, text, [1, 2]);
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => pool.query(text, [i, 15])));
    outcomes.forEach((outcome, i) => {
      if (i === 15) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: '22012', message: 'division by zero' } });
      else expect(outcome).toMatchObject({ status: 'fulfilled', value: { rowCount: 1 } });
    });
    await expect(pool.query(text, ['no number', 1])).rejects.toMatchObject({ code: '22P02' });
    await expect(pool.query(text, [1, 2])).resolves.toMatchObject({ rowCount: 1 });
  });

  it('follow a table that changes its shape', async () => {
    const text = 'SELECT * FROM item WHERE id = $1';
    await untilShared(pool, text, [1]);
    await pool.query('ALTER TABLE item ADD COLUMN colour text');
    const { rows } = await pool.query(text, [1]);
    expect(rows).toEqual([{ id: 1, label: 'item 1', colour: null }]);
  });

  it('let reads leave that a slow one holds up', async () => {
    // Its time depends on the parameter, which nobody can know beforehand.
    const text = 'SELECT count(*)::int AS n FROM generate_series(1, $1::int) a, generate_series(1, $2::int) b';
    await untilShared(pool, text, [1, 1]);
    let slowIsThere = false;
    const slow = pool.query(text, [4_000, 4_000]).then(() => {
      slowIsThere = true;
    });
    const { rows } = await pool.query(READ, [3]);
    expect(rows[0]).toMatchObject({ id: 3 });
    expect(slowIsThere).toBe(false);
    await slow;
  });

  it('are not used by clients with settings of their own, nor within transactions', async () => {
    await untilShared(pool, READ, [1]);
    const client = await pool.connect();
    try {
      await client.query('SET search_path TO pg_catalog, public');
      const before = pool.routes.shared;
      await client.query(READ, [1]);
      await client.query('RESET search_path');
      await client.query('BEGIN');
      await client.query(READ, [1]);
      await client.query('COMMIT');
      expect(pool.routes.shared).toBe(before);
    } finally {
      client.release(true);
    }
  });

  it('that are cut lose no read', async () => {
    await untilShared(pool, READ, [1]);
    const killer = new pg.Client(bench.url.replace(/@[^/]*\//, `@127.0.0.1:${bench.replicas[0]?.spec.settings.port}/`));
    await killer.connect();
    const reads = Array.from({ length: 100 }, (_, i) => pool.query(READ, [i + 1]));
    await killer.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = $1', [
      'client backend',
    ]);
    const answers = await Promise.all(reads);
    answers.forEach(({ rows }, i) => expect(rows[0].id).toBe(i + 1));
    await killer.end();
  });

  it('can be switched off', async () => {
    const alone = bench.pool({ lanes: false, max: 3 });
    for (let i = 0; i < 20; i++) await alone.query(READ, [i]);
    expect(alone.routes.shared).toBe(0);
  });
});
