import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { askedTopology } from '../../src/proxy/asked-topology.ts';
import type { ServerSource } from '../../src/proxy/messages.ts';
import type { ProxyOptions, SecretSource } from '../../src/proxy/options.ts';
import { ProxyServer } from '../../src/proxy/proxy-server.ts';
import { checkServer, judgeChecks } from '../../src/service/server-check.ts';
import { type Bench, CREDENTIALS, eventually, type Member, sql } from './postgres-fixture.ts';
import { lastRoute, openCluster, optionsWith } from './proxy-fixture.ts';

const addressOf = (member: Member): { host: string; port: number } => ({ host: '127.0.0.1', port: member.spec.settings.port });
const nameOf = (member: Member): string => `127.0.0.1:${member.spec.settings.port}`;

/** A plain primary and a replica of it, and the means to put proxies in front of them. */
class Servers {
  readonly bench: Bench;
  readonly primary: Member;
  readonly replica: Member;
  readonly #closing: (() => Promise<unknown>)[] = [];

  private constructor(bench: Bench, primary: Member, replica: Member) {
    this.bench = bench;
    this.primary = primary;
    this.replica = replica;
  }

  static async open(): Promise<Servers> {
    const { bench, primary, replicas } = await openCluster(1);
    return new Servers(bench, primary, replicas[0] as Member);
  }

  /** Ends what a test has opened. */
  async closeProxies(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }

  async proxy(change: Partial<ProxyOptions> = {}, source?: ServerSource): Promise<number> {
    const options = optionsWith({ holdTimeoutMs: 120_000, ...change });
    const addresses = [addressOf(this.replica), addressOf(this.primary)];
    const topology = askedTopology(options, source ?? { kind: 'addresses', addresses });
    await topology.start();
    const proxy = new ProxyServer(options, topology);
    const { port } = await proxy.start();
    this.afterwards(async () => {
      await proxy.stop();
      topology.stop();
    });
    return port;
  }

  async client(port: number, config: pg.ClientConfig = {}): Promise<pg.Client> {
    const made = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: CREDENTIALS.superuser,
      database: 'postgres',
      ...config,
    });
    made.on('error', () => undefined);
    await made.connect();
    this.afterwards(() => made.end().catch(() => undefined));
    return made;
  }

  afterwards(close: () => Promise<unknown>): void {
    this.#closing.push(close);
  }
}

describe('a proxy in front of servers that nobody tells it of', () => {
  let on: Servers;

  beforeAll(async () => {
    on = await Servers.open();
  });
  afterEach(() => on.closeProxies());
  afterAll(() => on.bench.close());

  it('sends writes to the one that is the primary and reads to the one that is not, which shows what was written', async () => {
    const c = await on.client(await on.proxy());
    await c.query('create table t(i int)');
    for (let i = 0; i < 20; i++) {
      await c.query('insert into t values ($1)', [i]);
      const { rows } = await c.query('select count(*)::int as n, pg_is_in_recovery() as r from t');
      expect(rows).toEqual([{ n: i + 1, r: true }]);
    }
    expect(await lastRoute(c)).toContain(nameOf(on.replica));
    const { rows } = await c.query('show understudy.servers');
    expect(rows.map(({ member, role }) => `${member} ${role}`)).toEqual([`${nameOf(on.primary)} primary`, `${nameOf(on.replica)} replica`]);
  });

  it('a connection of its own that is ended holds nothing up and ends no transaction', async () => {
    const c = await on.client(await on.proxy());
    await c.query('create table kept(i int)');
    await c.query('begin');
    await c.query('insert into kept values (1)');
    await sql(on.primary, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'understudy router'");
    await c.query('insert into kept values (2)');
    await c.query('commit');
    expect((await c.query('select count(*)::int as n from kept')).rows).toEqual([{ n: 2 }]);
  });

  it('finds the members of a Patroni cluster by its REST API, those that come later too', async () => {
    const members = [addressOf(on.primary)];
    const api: Server = createServer((_request, response) => response.end(JSON.stringify({ members })));
    await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve));
    on.afterwards(() => new Promise(resolve => api.close(resolve)));
    const apis = [
      { host: '127.0.0.1', port: 1 },
      { host: '127.0.0.1', port: (api.address() as AddressInfo).port },
    ];
    const c = await on.client(await on.proxy({}, { kind: 'patroni', apis }));
    await c.query('create table named(i int)');
    members.push(addressOf(on.replica));
    await eventually(async () => (await c.query('select pg_is_in_recovery() as r')).rows[0].r === true, 'the new member takes reads');
  });

  it('waits for a primary when there is none yet, and takes the first that opens', async () => {
    await on.primary.server.fence();
    const port = await on.proxy();
    // What was committed before its time it could not know: a strong read waits for the primary as well.
    const c = await on.client(port, { options: '-c understudy.consistency=eventual' });
    expect((await c.query('select pg_is_in_recovery() as r')).rows).toEqual([{ r: true }]);
    const writing = c.query('create table later(i int)');
    await on.primary.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await writing;
    expect(await lastRoute(c)).toContain(nameOf(on.primary));
  });

  describe('who may log in', () => {
    beforeAll(async () => {
      await sql(on.primary, "create role app login password 'app-secret'");
      // What Understudy has made in its own clusters is not there.
      await sql(on.primary, 'drop schema understudy cascade');
    });

    const router = { user: 'postgres', password: CREDENTIALS.superuser, database: 'postgres' };
    const superuser = { router, secrets: { kind: 'catalog' } } as const;
    const listed = (passwords: Record<string, string>): Partial<ProxyOptions> => ({
      secrets: { kind: 'users', passwords } satisfies SecretSource,
    });

    it('is read from pg_authid by a role that may', async () => {
      const port = await on.proxy(superuser);
      const c = await on.client(port, { user: 'app', password: 'app-secret' });
      expect((await c.query('select current_user as u, pg_is_in_recovery() as r')).rows).toEqual([{ u: 'app', r: true }]);
      await expect(on.client(port, { user: 'app', password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
      await expect(on.client(port, { user: 'nobody-at-all', password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
    });

    it('is listed by the operator, with passwords, where nobody may read secrets', async () => {
      const port = await on.proxy(listed({ app: 'app-secret', stale: 'no-such-role' }));
      for (let i = 0; i < 2; i++) {
        const c = await on.client(port, { user: 'app', password: 'app-secret' });
        expect((await c.query('select current_user as u, pg_is_in_recovery() as r')).rows).toEqual([{ u: 'app', r: true }]);
      }
      await expect(on.client(port, { user: 'app', password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
      // On the list only, on the servers only, and on neither.
      await expect(on.client(port, { user: 'stale', password: 'no-such-role' })).rejects.toMatchObject({ code: '28P01' });
      await expect(on.client(port)).rejects.toMatchObject({ code: '28P01' });
      await expect(on.client(port, { user: '__proto__', password: 'x' })).rejects.toMatchObject({ code: '28P01' });
    });

    it('is listed with the verifiers that the servers have', async () => {
      const [role] = await sql(on.primary, "select rolpassword from pg_authid where rolname = 'app'");
      const c = await on.client(await on.proxy(listed({ app: String(role?.['rolpassword']) })), { user: 'app', password: 'app-secret' });
      expect((await c.query('select current_user as u')).rows).toEqual([{ u: 'app' }]);
    });

    it('is asked about at the start: what the servers say decides how, or why not', async () => {
      const judge = async (options: Partial<ProxyOptions>, passwords: Record<string, string> | null = null): Promise<unknown> => {
        const complete = optionsWith(options);
        const checks = await Promise.all([on.primary, on.replica].map(member => checkServer(addressOf(member), complete)));
        return judgeChecks(checks, complete.router.user, passwords);
      };
      expect(await judge(superuser)).toEqual({ kind: 'ready', secrets: { kind: 'catalog' }, silent: [] });
      await expect(judge({})).rejects.toMatchObject({ code: 'no-user-secrets', details: { role: 'understudy_router' } });
      expect(await judge({}, { app: 'x' })).toMatchObject({ kind: 'ready', secrets: { kind: 'users' } });
      const wrong = { router: { ...router, password: 'wrong' } };
      await expect(judge(wrong)).rejects.toMatchObject({ code: 'router-refused' });
      await on.primary.server.fence();
      expect(await judge(superuser)).toMatchObject({ kind: 'ready', silent: [expect.stringContaining(nameOf(on.primary))] });
      await on.replica.server.fence();
      expect(await judge(superuser)).toMatchObject({ kind: 'wait', why: expect.stringContaining(nameOf(on.replica)) });
    });
  });
});

describe('a promotion that nobody tells the proxy of', () => {
  let on: Servers;

  beforeAll(async () => {
    on = await Servers.open();
  });
  afterEach(() => on.closeProxies());
  afterAll(() => on.bench.close());

  it('is followed: held writes go on, reads never fail, an open transaction is said to be rolled back, the old primary is not believed again', async () => {
    const port = await on.proxy();
    const writer = await on.client(port);
    const reader = await on.client(port);
    await writer.query('create table t(i int)');
    await writer.query('insert into t values (1)');
    expect((await reader.query('select pg_is_in_recovery() as r from t')).rows).toEqual([{ r: true }]);
    const open = await on.client(port);
    await open.query('begin');
    await open.query('insert into t values (9)');
    await on.primary.server.fence();
    expect((await reader.query('select i, pg_is_in_recovery() as r from t')).rows).toEqual([{ i: 1, r: true }]);
    const writing = writer.query('insert into t values (2)');
    await on.replica.server.isolate(5_000);
    await on.replica.server.setSynchronousNames({ kind: 'none' }, 5_000);
    await on.replica.server.promote(null, 10_000);
    expect((await writing).rowCount).toBe(1);
    expect(await lastRoute(writer)).toContain(nameOf(on.replica));
    expect((await reader.query('select count(*)::int as n from t')).rows).toEqual([{ n: 2 }]);
    await expect(open.query('insert into t values (9)')).rejects.toMatchObject({ code: '57P01' });
    await open.query('rollback');

    await on.primary.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await on.primary.server.waitUntilReady(20_000);
    await writer.query('insert into t values (3)');
    expect((await reader.query('select count(*)::int as n from t')).rows).toEqual([{ n: 3 }]);
    expect(await sql(on.primary, 'select count(*)::int as n from t')).toEqual([{ n: 1 }]);
  });
});
