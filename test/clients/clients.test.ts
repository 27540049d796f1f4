import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { installLocked } from '../support/install.ts';
import { hasProgram, outcomeOf, run } from '../support/program.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const drivers = readdirSync(join(here, 'drivers')).filter(name => name.endsWith('.mjs'));
/** postgres.js speaks the protocol by itself: it has the router only. */
const onPg = drivers.filter(name => name !== 'postgres.mjs');
/** Slonik takes the pg that is installed for it, which is the in-process client here. */
const throughRouter = drivers.filter(name => name !== 'slonik.mjs');

/** The programs of libpq dump servers of their own version and older ones: those of Debian go with Debian's server. */
const BIN = '/usr/lib/postgresql/15/bin';
const withServerPrograms = hasProgram(`${BIN}/pg_dump`);
const JDBC = '/usr/share/java/postgresql.jar';
const withJava = hasProgram('java') && existsSync(JDBC);
const withPsycopg = hasProgram('/usr/bin/python3') && spawnable('/usr/bin/python3', '-c', 'import psycopg2');

function spawnable(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env['CI'] === 'true') throw new Error(`CI needs ${command} ${args.join(' ')}; see .ci/run`);
    return false;
  }
}

/** The in-process client as it would be installed: beside the drivers' own pg, and in its place for Slonik, which is not told which pg to take. */
function installClient(): void {
  const from = join(here, '..', '..', 'packages', 'client');
  const to = join(here, 'node_modules', '@understudy', 'client');
  rmSync(to, { recursive: true, force: true });
  for (const part of ['package.json', 'dist/index.cjs', 'dist/index.mjs', 'dist/lib'])
    cpSync(join(from, part), join(to, part), { recursive: true });
  const slonik = join(here, 'node_modules', '@slonik', 'pg-driver', 'node_modules');
  mkdirSync(slonik, { recursive: true });
  rmSync(join(slonik, 'pg'), { force: true });
  symlinkSync(to, join(slonik, 'pg'));
}

describe('real clients through the router', () => {
  let cluster: Cluster;
  let directory: string;

  beforeAll(async () => {
    installLocked(here);
    installClient();
    directory = mkdtempSync(join(tmpdir(), 'understudy-clients-'));
    cluster = await Cluster.start('--replicas', '1', ...(withServerPrograms ? ['--bin-dir', BIN] : []));
  });
  afterAll(async () => {
    await cluster?.destroy();
    rmSync(directory, { recursive: true, force: true });
  });

  /** libpq's environment for the router. */
  const libpq = (): NodeJS.ProcessEnv => {
    const { hostname, port, username, password } = new URL(cluster.url);
    return { PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: password, PGDATABASE: 'postgres' };
  };
  const program = async (name: string, ...args: string[]): Promise<string> => {
    const outcome = await run(name, args, { env: libpq(), cwd: directory });
    expect([outcome.code, outcome.stderr]).toEqual([0, expect.any(String)]);
    return outcome.stdout;
  };
  const psql = (...args: string[]): Promise<string> =>
    program('psql', '-XAt', '-v', 'ON_ERROR_STOP=1', ...args.flatMap(sql => ['-c', sql]));

  it.each(throughRouter)('%s: migrations, pools, transactions, reads after writes, errors, large results', async driver => {
    const outcome = await run(process.execPath, [join(here, 'drivers', driver), cluster.url]);
    expect([driver, outcome.code, outcome.stdout, outcome.stderr]).toEqual([driver, 0, 'ok\n', expect.any(String)]);
    expect(await psql(`SELECT count(*) FROM "books_${basename(driver, '.mjs')}"`)).toBe('50\n');
  });

  describe('in process, on the servers themselves', () => {
    /** The drivers are given the primary alone, as they would be given any server, and the servers by the environment. */
    const start = async (driver: string, env: NodeJS.ProcessEnv): Promise<ReturnType<typeof spawn>> => {
      const status = await cluster.whenHealthy();
      const servers = status.members.map(({ host, port }) => `${host}:${port}`).join(',');
      const { host, port } = primaryOf(status);
      const url = new URL(cluster.url);
      url.host = `${host}:${port}`;
      const program = [join(here, 'drivers', driver), url.toString()];
      return spawn(process.execPath, program, { env: { ...process.env, UNDERSTUDY_SERVERS: servers, ...env } });
    };

    it.each(onPg)('%s: the same, and plain reads go to replicas', async driver => {
      await psql(
        `DROP TABLE IF EXISTS "books_${basename(driver, '.mjs')}"`,
        'DROP TABLE IF EXISTS knex_migrations, knex_migrations_lock, migrations, kysely_migration, kysely_migration_lock',
      );
      const outcome = await outcomeOf(await start(driver, {}), undefined, 120_000);
      expect([driver, outcome.code, outcome.stdout, outcome.stderr]).toEqual([driver, 0, 'ok\n', expect.any(String)]);
    });

    it.each(['kysely.mjs'])('%s: the primary dies half way, and at most one write has to be looked up', async driver => {
      await psql(
        `DROP TABLE IF EXISTS "books_${basename(driver, '.mjs')}"`,
        'DROP TABLE IF EXISTS kysely_migration, kysely_migration_lock',
      );
      const child = await start(driver, { FAILOVER: '1' });
      const ended = outcomeOf(child, null, 120_000);
      await once(child.stdout as NodeJS.ReadableStream, 'data');
      const { postmasterPid } = primaryOf(await cluster.status());
      process.kill(postmasterPid as number, 'SIGKILL');
      child.stdin?.end('dead\n');
      const outcome = await ended;
      expect([driver, outcome.code, outcome.stdout, outcome.stderr]).toEqual([driver, 0, 'half way\nok\n', '']);
    });
  });

  it.runIf(withPsycopg)('psycopg2: named cursors, COPY, large objects, read-only transactions, LISTEN', async () => {
    const outcome = await run('/usr/bin/python3', [join(here, 'psycopg2_client.py'), cluster.url]);
    expect([outcome.code, outcome.stdout, outcome.stderr]).toEqual([0, 'ok\n', '']);
  });

  it.runIf(withJava)('JDBC: server-prepared statements, batches, fetch size, savepoints, metadata, COPY, time-outs', async () => {
    const { hostname, port, username, password } = new URL(cluster.url);
    const args = ['-cp', JDBC, join(here, 'Jdbc.java'), `jdbc:postgresql://${hostname}:${port}/postgres`, username, password];
    const outcome = await run('java', args);
    expect([outcome.code, outcome.stdout, outcome.stderr]).toEqual([0, 'ok\n', '']);
  });

  describe.runIf(withServerPrograms)("PostgreSQL's own programs", () => {
    it('pg_dump and pg_restore: what comes out is what went in', async () => {
      await psql(
        'CREATE DATABASE copy_of',
        `CREATE TABLE dumped (id serial PRIMARY KEY, body text, at timestamptz DEFAULT now());
         INSERT INTO dumped (body) SELECT repeat(chr(65 + i % 26), 200) FROM generate_series(1, 5000) i;
         CREATE VIEW long_ones AS SELECT id FROM dumped WHERE length(body) > 100;
         CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
         SELECT lo_from_bytea(4711, 'large object')`,
      );
      const piped = `${BIN}/pg_dump -Fc --table dumped --table long_ones | ${BIN}/pg_restore --dbname copy_of --exit-on-error`;
      await program('bash', '-o', 'pipefail', '-c', piped);
      const digest = "SELECT md5(string_agg(id || body || at, ',' ORDER BY id)) FROM dumped";
      expect(await program('psql', '-XAt', '-d', 'copy_of', '-c', digest)).toBe(await psql(digest));
      // In parallel each worker takes the snapshot of the first.
      await program(`${BIN}/pg_dump`, '-Fd', '-j', '3', '-f', 'whole');
      await psql('CREATE DATABASE whole');
      await program(`${BIN}/pg_restore`, '-j', '3', '-d', 'whole', '--exit-on-error', 'whole');
      expect(await program('psql', '-XAt', '-d', 'whole', '-c', digest)).toBe(await psql(digest));
      const large = "SELECT convert_from(lo_get(4711), 'UTF8')";
      expect(await program('psql', '-XAt', '-d', 'whole', '-c', large)).toBe('large object\n');
    });

    it('pg_basebackup takes a backup that pg_verifybackup accepts', async () => {
      await program(`${BIN}/pg_basebackup`, '-D', 'backup', '-X', 'stream', '-c', 'fast');
      expect(await program(`${BIN}/pg_verifybackup`, 'backup')).toContain('successfully verified');
    });

    it('logical replication: a slot, a publication and changes as they are made', async () => {
      await psql('CREATE TABLE followed (i int PRIMARY KEY)');
      const recvlogical = `${BIN}/pg_recvlogical`;
      await program(recvlogical, '-d', 'postgres', '--slot', 'followers', '--create-slot', '--plugin', 'test_decoding');
      await psql('INSERT INTO followed SELECT generate_series(1, 3)');
      const end = (await psql('/* understudy:primary */ SELECT pg_current_wal_flush_lsn()')).trim();
      const told = await program(recvlogical, '-d', 'postgres', '--slot', 'followers', '--start', '-f', '-', '--endpos', end, '--no-loop');
      expect(told.match(/table public\.followed: INSERT: i\[integer\]:\d/g)).toHaveLength(3);
      await program(recvlogical, '-d', 'postgres', '--slot', 'followers', '--drop-slot');
    });

    it('createdb, vacuumdb, reindexdb, pg_isready and psql by itself', async () => {
      await program(`${BIN}/createdb`, 'made');
      await program(`${BIN}/vacuumdb`, '--analyze', 'made');
      await program(`${BIN}/reindexdb`, 'made');
      await program(`${BIN}/dropdb`, 'made');
      expect(await program(`${BIN}/pg_isready`)).toContain('accepting connections');
      const script = ['\\d+', '\\df', '\\l', '\\du', '\\timing on', 'select 1;', '\\watch i=0.1 c=2'].slice(0, 6);
      expect((await run('psql', ['-XAt', '-v', 'ON_ERROR_STOP=1'], { env: libpq(), input: `${script.join('\n')}\n` })).code).toBe(0);
    });
  });
});
