import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CREDENTIALS } from './postgres-fixture.ts';
import { client, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

const run = promisify(execFile);

/** The libpq programs come from a Debian package: CI must have them, elsewhere their tests are skipped with a line that says so. */
async function hasProgram(name: string): Promise<boolean> {
  const found = await run(name, ['--version']).then(
    () => true,
    () => false,
  );
  if (!found && process.env['CI'] === 'true') throw new Error(`CI needs ${name} (apt: postgresql-client, postgresql)`);
  if (!found) console.warn(`skipped: tests with ${name}, which is not installed`);
  return found;
}

const withPrograms = (await hasProgram('psql')) && (await hasProgram('pgbench'));

describe('real clients through the proxy', () => {
  let on: ProxyBench;
  let directory: string;

  beforeAll(async () => {
    on = await openProxyBench(2);
    directory = await mkdtemp(join(tmpdir(), 'understudy-clients-'));
  });

  afterAll(async () => {
    await on?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const environment = (): NodeJS.ProcessEnv => ({
    ...process.env,
    PGHOST: '127.0.0.1',
    PGPORT: String(on.port),
    PGUSER: 'postgres',
    PGPASSWORD: CREDENTIALS.superuser,
    PGDATABASE: 'postgres',
  });
  const program = async (name: string, ...args: readonly string[]): Promise<string> =>
    (await run(name, [...args], { env: environment(), cwd: directory, maxBuffer: 1 << 26 })).stdout;

  describe('pg', () => {
    test('queries, parameters, types, errors, transactions', async () => {
      const c = await client(on);
      await c.query('CREATE TABLE books (id serial PRIMARY KEY, title text NOT NULL, at timestamptz DEFAULT now())');
      const made = await c.query('INSERT INTO books (title) VALUES ($1), ($2) RETURNING id', ['one', 'two']);
      expect(made.rows.map(row => row.id)).toEqual([1, 2]);
      expect((await c.query('SELECT title FROM books WHERE id = ANY($1) ORDER BY id', [[1, 2]])).rows).toEqual([
        { title: 'one' },
        { title: 'two' },
      ]);
      await expect(c.query('INSERT INTO books (title) VALUES (NULL)')).rejects.toMatchObject({ code: '23502' });
      await c.query('BEGIN');
      await c.query('DELETE FROM books');
      await c.query('ROLLBACK');
      expect((await c.query('SELECT count(*)::int AS n FROM books')).rows).toEqual([{ n: 2 }]);
    });
  });

  describe('postgres.js', () => {
    test('its pipelines, transactions, cursors, COPY, LISTEN and arrays', async () => {
      const sql = postgres({
        host: '127.0.0.1',
        port: on.port,
        user: 'postgres',
        password: CREDENTIALS.superuser,
        database: 'postgres',
        max: 4,
        onnotice: () => undefined,
      });
      try {
        await sql`CREATE TABLE js (i int PRIMARY KEY, t text)`;
        await sql`INSERT INTO js ${sql([1, 2, 3].map(i => ({ i, t: `row ${i}` })))}`;
        const many = await Promise.all(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n, count(*)::int AS rows FROM js`));
        expect(many.map(rows => rows[0])).toEqual(Array.from({ length: 200 }, (_, n) => ({ n, rows: 3 })));
        const [sum] = await sql.begin(async tx => {
          await tx`UPDATE js SET t = 'changed' WHERE i = 2`;
          return await tx`SELECT sum(i)::int AS s FROM js`;
        });
        expect(sum).toEqual({ s: 6 });
        await expect(
          sql.begin(async tx => {
            await tx`DELETE FROM js`;
            throw new Error('changed my mind');
          }),
        ).rejects.toThrow('changed my mind');
        const seen: number[] = [];
        for await (const rows of sql`SELECT i FROM js ORDER BY i`.cursor(2)) seen.push(...rows.map(row => Number(row['i'])));
        expect(seen).toEqual([1, 2, 3]);
        const writable = await sql`COPY js FROM STDIN`.writable();
        await new Promise<void>((resolve, reject) => {
          writable.on('error', reject);
          writable.on('finish', resolve);
          writable.write('4\tfour\n');
          writable.end('5\tfive\n');
        });
        expect((await sql`SELECT count(*)::int AS n FROM js`)[0]).toEqual({ n: 5 });
        const heard = new Promise<string>(
          resolve => void sql.listen('js', payload => resolve(payload)).then(() => sql.notify('js', 'hello')),
        );
        expect(await heard).toBe('hello');
        await expect(sql`SELECT ${1}::int / ${0}::int`).rejects.toMatchObject({ code: '22012' });
        const described = await sql`SELECT * FROM js WHERE i = ${1}`.describe();
        expect(described.columns.map(column => column.name)).toEqual(['i', 't']);
      } finally {
        await sql.end();
      }
    });
  });

  describe.runIf(withPrograms)('the libpq programs', () => {
    test('psql: meta commands, variables, \\copy both ways, several statements in one -c', async () => {
      expect(await program('psql', '-At', '-c', 'CREATE TABLE cities (name text, size int)', '-c', '\\d cities')).toContain('name|text');
      await writeFile(join(directory, 'cities.csv'), 'Rome,3\nOslo,1\n');
      expect(await program('psql', '-At', '-c', "\\copy cities from 'cities.csv' csv", '-c', 'SELECT sum(size) FROM cities')).toBe(
        'COPY 2\n4\n',
      );
      expect(await program('psql', '-At', '-c', '\\copy (select name from cities order by 1) to stdout')).toBe('Oslo\nRome\n');
      expect(await program('psql', '-At', '-c', "INSERT INTO cities VALUES ('Bern', 1); SELECT count(*) FROM cities; ")).toBe(
        'INSERT 0 1\n3\n',
      );
      await writeFile(
        join(directory, 'script.sql'),
        "\\set n 5\nBEGIN;\nDECLARE c CURSOR FOR SELECT generate_series(1, :n);\nFETCH 2 FROM c;\nCOMMIT;\nSELECT :'n';\n",
      );
      expect(await program('psql', '-At', '-v', 'ON_ERROR_STOP=1', '-f', 'script.sql')).toBe('BEGIN\nDECLARE CURSOR\n1\n2\nCOMMIT\n5\n');
      expect(await program('psql', '-At', '-v', 'FETCH_COUNT=3', '-c', 'SELECT generate_series(1, 8)')).toBe('1\n2\n3\n4\n5\n6\n7\n8\n');
    });

    test.each(['simple', 'extended', 'prepared'])('pgbench -M %s: TPC-B and reads alone', async mode => {
      await program('pgbench', '-i', '-q', '-s', '1');
      const writes = await program('pgbench', '-n', '-M', mode, '-c', '4', '-t', '50');
      const reads = await program('pgbench', '-n', '-S', '-M', mode, '-c', '8', '-t', '200');
      for (const output of [writes, reads]) expect(output).toContain('number of failed transactions: 0 (0.000%)');
      expect(writes).toContain('number of transactions actually processed: 200/200');
      expect(await program('psql', '-At', '-c', 'SELECT count(*) FROM pgbench_history')).toBe('200\n');
    });

    test('pgbench with pipelines', async () => {
      await writeFile(
        join(directory, 'pipeline.sql'),
        '\\startpipeline\nSELECT 1;\nINSERT INTO piped VALUES (1);\nSELECT count(*) FROM piped;\nBEGIN;\nSELECT 2;\nCOMMIT;\n\\endpipeline\n',
      );
      await program('psql', '-c', 'CREATE TABLE piped (i int)');
      const output = await program('pgbench', '-n', '-M', 'extended', '-f', 'pipeline.sql', '-c', '4', '-t', '50');
      expect(output).toContain('number of failed transactions: 0 (0.000%)');
      expect(await program('psql', '-At', '-c', 'SELECT count(*) FROM piped')).toBe('200\n');
    });
  });
});
