import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BoundAddress, bindHandle } from '../../packages/server/src/proxy/workers/bound-handle.ts';
import { type Bench, type Member, sql } from '../../packages/server/test/integration/postgres-fixture.ts';
import { openCluster } from '../../packages/server/test/integration/proxy-fixture.ts';
import { BIN, freePort } from '../support/cluster.ts';
import { type Outcome, outcomeOf, run } from '../support/program.ts';

const ROUTER_PASSWORD = 'chosen by the operator';
const addressOf = (member: Member): string => `127.0.0.1:${member.spec.settings.port}`;

/** `understudy proxy --servers`, as somebody meets it who has a primary and a replica already. */
describe('understudy proxy in front of servers that Understudy did not start', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-proxy-'));
  let bench: Bench;
  let primary: Member;
  let replica: Member;

  beforeAll(async () => {
    const cluster = await openCluster(1);
    bench = cluster.bench;
    primary = cluster.primary;
    replica = cluster.replicas[0] as Member;
    // As if Understudy had never seen them.
    await sql(primary, 'drop schema understudy cascade');
    await sql(primary, 'drop role understudy_router');
    await sql(primary, "create role app login password 'app-secret'");
  });
  afterAll(async () => {
    await bench.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const servers = (): string => [replica, primary].map(addressOf).join(',');
  const environment = (password: string | null): NodeJS.ProcessEnv => ({
    ...process.env,
    NO_COLOR: '1',
    UNDERSTUDY_PROXY_WORKERS: '2',
    UNDERSTUDY_ROUTER_PASSWORD: password ?? '',
  });

  const proxy = (args: readonly string[], password: string | null = ROUTER_PASSWORD): Promise<Outcome> =>
    run(process.execPath, [BIN, 'proxy', ...args], { cwd: directory, env: environment(password) });

  it('says what is missing, and what to do', async () => {
    const named = ['--servers', servers()];
    const refused = await proxy(named);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('The servers do not let the role understudy_router in');
    expect(refused.stderr).toContain('understudy proxy --setup-sql');
    const asApp = await proxy([...named, '--router-user', 'app'], 'app-secret');
    expect(asApp.stderr).toContain('The role app may not look up the secrets');
    expect((await proxy(named, null)).code).toBe(2);
    expect((await proxy(['--port', '1234'])).stderr).toContain('--port goes with --servers');
    expect((await proxy(['--servers', 'db1,:9'])).stderr).toContain('":9" is not host, host:port');
    writeFileSync(join(directory, 'users.txt'), 'app app-secret\n');
    expect((await proxy([...named, '--users', 'users.txt'])).stderr).toContain('line 1 is not "role" "password"');
  });

  it('needs a role that its own SQL makes, then carries reads, writes and a promotion under clients, and stops cleanly', async () => {
    const setup = await proxy(['--setup-sql'], null);
    await sql(primary, setup.stdout.replace("'choose-a-password'", `'${ROUTER_PASSWORD}'`));
    const port = await freePort();
    const child = spawn(process.execPath, [BIN, 'proxy', '--servers', servers(), '--port', String(port)], {
      cwd: directory,
      env: environment(ROUTER_PASSWORD),
    });
    const ended = outcomeOf(child, '', 120_000);
    await said(child, /The proxy listens on/);

    const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'app', password: 'app-secret', database: 'postgres', max: 6 });
    const failures: Error[] = [];
    pool.on('error', error => failures.push(error));
    await sql(primary, 'create table posts(id int primary key); grant all on posts to app');
    let writes = 0;
    const served = new Set<number>();
    /** An author writes and looks: the post is there, whoever answers. */
    const author = async (first: number, until: () => boolean): Promise<void> => {
      for (let id = first; !until(); id++) {
        try {
          await pool.query('insert into posts values ($1)', [id]);
        } catch (error) {
          // Its primary died under it: whether it was committed is asked.
          if ((error as { code?: string }).code !== '08007') throw error;
          await pool.query('insert into posts values ($1) on conflict do nothing', [id]);
        }
        writes += 1;
        const { rows } = await pool.query('select inet_server_port() as port from posts where id = $1', [id]);
        expect(rows).toHaveLength(1);
        served.add(rows[0].port);
      }
    };
    const authors = async (until: () => boolean): Promise<unknown> =>
      Promise.all([1, 2, 3].map(n => author(n * 1_000_000 + writes, until)));

    await authors(() => writes >= 300);
    expect(served).toContain(replica.spec.settings.port);
    // Nobody writes while the last WAL is on its way: what an asynchronous replica has not received is lost with its primary.
    const [{ lsn } = { lsn: '' }] = await sql(primary, 'select pg_current_wal_insert_lsn()::text as lsn');
    await received(replica, String(lsn));
    await primary.server.fence();
    const before = writes;
    const going = authors(() => writes >= before + 300);
    await replica.server.isolate(5_000);
    await replica.server.setSynchronousNames({ kind: 'none' }, 5_000);
    await replica.server.promote(null, 10_000);
    await going;
    expect(writes).toBeGreaterThanOrEqual(600);
    expect(failures.map(error => error.message)).toEqual([]);
    await pool.end();

    child.kill('SIGTERM');
    const outcome = await ended;
    expect(outcome.code).toBe(0);
    expect(outcome.stderr).toContain(`The router sends writes to ${addressOf(replica)}`);
    expect(outcome.stdout).toBe('');
  });

  it('on a port that is held open for it, serves those who came while it was restarted', async () => {
    const held = bindHandle('127.0.0.1', 0, 4);
    const at: Partial<BoundAddress> = {};
    held.getsockname(at);
    const start = (): ChildProcess =>
      spawn('sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"', process.execPath, BIN, 'proxy', '--servers', addressOf(replica)], {
        cwd: directory,
        env: environment(ROUTER_PASSWORD),
        stdio: ['ignore', 'pipe', 'pipe', held.fd],
      });
    const ask = async (): Promise<unknown> => {
      const client = new pg.Client({ host: '127.0.0.1', port: at.port!, user: 'app', password: 'app-secret', database: 'postgres' });
      await client.connect();
      const { rows } = await client.query('select 1 as one');
      await client.end();
      return rows;
    };
    const first = start();
    const firstEnded = outcomeOf(first, null, 120_000);
    await said(first, /The proxy listens on/);
    expect(await ask()).toEqual([{ one: 1 }]);
    first.kill('SIGTERM');
    expect((await firstEnded).code).toBe(0);
    const waiting = ask();
    const second = start();
    const secondEnded = outcomeOf(second, null, 120_000);
    expect(await waiting).toEqual([{ one: 1 }]);
    second.kill('SIGTERM');
    expect((await secondEnded).code).toBe(0);
    held.close();
  });
});

/** Resolves when the program has said so on stderr; rejects when it ends before. */
function said(child: ChildProcess, what: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (data: Buffer) => {
      text += data.toString();
      if (what.test(text)) resolve();
    });
    child.once('close', () => reject(new Error(`it ended, and said: ${text}`)));
  });
}

async function received(member: Member, lsn: string): Promise<void> {
  for (;;) {
    const [row] = await sql(member, `select pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn as there`);
    if (row?.['there'] === true) return;
  }
}
