import pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { hasProgram, run } from '../support/program.ts';

describe('real clients through the endpoint', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.destroy());

  it('pg: parameters, transactions, rollback, large results, COPY-sized inserts', async () => {
    const pool = cluster.pool(5);
    await pool.query('create table items(id serial primary key, body text)');
    await Promise.all(Array.from({ length: 50 }, (_, i) => pool.query('insert into items(body) values ($1)', [`item ${i}`])));
    expect((await pool.query('select count(*)::int as n from items')).rows).toEqual([{ n: 50 }]);
    const client = await pool.connect();
    await client.query('begin');
    await client.query('delete from items');
    await client.query('rollback');
    client.release();
    expect((await pool.query('select count(*)::int as n from items')).rows).toEqual([{ n: 50 }]);
    const big = await pool.query("select i, repeat('x', 1000) as pad from generate_series(1, 20000) i");
    expect([big.rowCount, big.rows.at(-1).pad.length]).toEqual([20000, 1000]);
    await pool.end();
  });

  it('pg: cancel reaches its own statement only', async () => {
    const victim = new pg.Client({ connectionString: cluster.url, query_timeout: 0 });
    const bystander = cluster.client();
    await victim.connect();
    await bystander.connect();
    const slow = victim.query('select pg_sleep(60)');
    const other = bystander.query('select pg_sleep(0.5)');
    const canceller = new pg.Client({ connectionString: cluster.url });
    // `cancel` is on pg's client though its types do not say so.
    setTimeout(
      () =>
        (canceller as unknown as { cancel(client: pg.Client, query: unknown): void }).cancel(
          victim,
          (victim as unknown as { _activeQuery: unknown })._activeQuery ?? (victim as unknown as { activeQuery: unknown }).activeQuery,
        ),
      200,
    );
    await expect(slow).rejects.toMatchObject({ code: '57014' });
    expect((await other).rowCount).toBe(1);
    await victim.end();
    await bystander.end();
  });

  it('postgres.js: pipelined by default, transactions, cursors', async () => {
    const sql = postgres(cluster.url, { max: 3 });
    await sql`create table notes(id int primary key, body text)`;
    await Promise.all(Array.from({ length: 100 }, (_, i) => sql`insert into notes values (${i}, ${`note ${i}`})`));
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => sql`select body from notes where id = ${i}`));
    expect(answers.map(rows => rows[0]?.['body'])).toEqual(Array.from({ length: 100 }, (_, i) => `note ${i}`));
    await sql.begin(async tx => {
      await tx`update notes set body = 'changed' where id = 1`;
      expect((await tx`select body from notes where id = 1`)[0]?.['body']).toBe('changed');
    });
    let seen = 0;
    for await (const rows of sql`select * from notes order by id`.cursor(7)) seen += rows.length;
    expect(seen).toBe(100);
    await sql.end();
  });

  it.runIf(hasProgram('psql'))('psql: \\d, \\copy both ways, errors', async () => {
    const script = [
      'create table cities(name text, people int);',
      '\\copy cities from stdin',
      'Bern\t134000',
      'Biel\t55000',
      '\\.',
      '\\copy (select * from cities order by 1) to stdout with csv',
      'select nonsense;',
      'select count(*) from cities;',
    ].join('\n');
    const outcome = await run('psql', [cluster.url, '-At'], { input: `${script}\n` });
    expect(outcome.stdout).toContain('Bern,134000\nBiel,55000');
    expect(outcome.stderr).toContain('column "nonsense" does not exist');
    expect(outcome.stdout.trim().endsWith('2')).toBe(true);
  });

  describe.runIf(hasProgram('pgbench'))('pgbench', () => {
    const pgbench = (...args: string[]) => run('pgbench', [...args, cluster.url], { limitMs: 120_000 });

    it('initialises, and runs TPC-B and reads in every protocol mode', async () => {
      const made = await pgbench('-i', '-s', '2', '-q');
      expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('done in')]);
      for (const mode of ['simple', 'extended', 'prepared']) {
        for (const script of [['-b', 'tpcb-like'], ['-S']]) {
          const outcome = await pgbench('-n', '-c', '8', '-j', '2', '-t', '50', '-M', mode, ...script);
          expect([mode, script[0], outcome.code, outcome.stdout]).toEqual([
            mode,
            script[0],
            0,
            expect.stringContaining('number of transactions actually processed: 400/400'),
          ]);
        }
      }
      const status = await cluster.status();
      expect(Object.entries(status.router.reads).filter(([id, n]) => id !== primaryOf(status).id && n > 0).length).toBe(2);
    });
  });
});
