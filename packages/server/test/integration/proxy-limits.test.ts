import { once } from 'node:events';
import type { Socket } from 'node:net';
import { frontend, readErrorFields } from '@understudy/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProxyServer } from '../../src/proxy/proxy-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { CREDENTIALS, sql } from './postgres-fixture.ts';
import { client, openProxyBench, optionsWith, type ProxyBench } from './proxy-fixture.ts';

describe('limits of the proxy', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1, {
      maxClients: 6,
      idleTimeoutMs: 3_000,
      idleInTransactionTimeoutMs: 600,
      queryTimeoutMs: 1_000,
      loginTimeoutMs: 2_000,
    });
  });

  afterAll(() => on?.close());

  const login = (): Promise<WireClient> => WireClient.login(on.port, 'postgres', CREDENTIALS.superuser);
  /** SQLSTATE of the last words, which the end of the connection must follow. */
  const lastWords = async (c: WireClient): Promise<string> => {
    const received = await c.until('E');
    await expect(c.next()).rejects.toThrow('closed');
    return readErrorFields((received.at(-1) as { frame: Buffer }).frame).code;
  };

  test('a proxy that is stopped ends who rests, and lets an open transaction end first', async () => {
    const going = new ProxyServer(optionsWith({}), on.topology);
    const { port } = await going.start();
    const [resting, writing] = [
      await WireClient.login(port, 'postgres', CREDENTIALS.superuser),
      await WireClient.login(port, 'postgres', CREDENTIALS.superuser),
    ];
    writing.send(frontend.query('begin'), frontend.query('create table drained (i int)'));
    await writing.untilReady(2);
    const drained = going.drain(3_600_000);
    expect(await lastWords(resting)).toBe('57P01');
    await expect(WireClient.login(port, 'postgres', CREDENTIALS.superuser)).rejects.toThrow();
    writing.send(frontend.query('commit'));
    await writing.untilReady(1);
    expect(await lastWords(writing)).toBe('57P01');
    await drained;
    await going.stop();
    expect(await sql(on.primary, "select to_regclass('drained') is not null as there")).toEqual([{ there: true }]);
  });

  test('an idle client is let go', async () => {
    expect(await lastWords(await login())).toBe('57P05');
  });

  test('a transaction that nobody goes on with is ended, with its locks', async () => {
    await sql(on.primary, 'CREATE TABLE locked (i int)');
    const c = await login();
    c.send(frontend.query('begin'), frontend.query('lock table locked'));
    await c.untilReady(2);
    expect(await lastWords(c)).toBe('25P03');
    await sql(on.primary, "SET lock_timeout = '20s'; LOCK TABLE locked");
  });

  test('a statement that takes too long is cancelled, and the session goes on', async () => {
    const c = await login();
    c.send(frontend.query('select pg_sleep(60)'));
    const error = (await c.untilReady()).find(m => m.type === 'E');
    expect(error && readErrorFields(error.frame).code).toBe('57014');
    c.send(frontend.query('select 1'));
    expect((await c.untilReady()).map(m => m.type).join('')).toBe('TDCZ');
    await c.end();
  });

  test('beyond the greatest number of clients: 53300, and room again when one leaves', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, login));
    await expect(login()).rejects.toThrow('too many clients');
    await all[0]?.end();
    all[0] = await login();
    await Promise.all(all.map(c => c.end()));
  });

  test('connections that never log in do not keep others out', async () => {
    const silent: Socket[] = [];
    for (let i = 0; i < 30; i++) silent.push((await WireClient.raw(on.port)).socket);
    const c = await login();
    await c.end();
    const gone = silent.filter(socket => socket.destroyed).length;
    expect(gone).toBeGreaterThan(0);
    await Promise.all(silent.map(socket => (socket.destroyed ? undefined : once(socket, 'close'))));
  });

  test('SHOW understudy.clients, servers, pools and stats are tables', async () => {
    const c = await client(on, { application_name: 'looker' });
    await c.query('SELECT 1');
    const clients = (await c.query('SHOW understudy.clients')).rows;
    expect(clients).toContainEqual(
      expect.objectContaining({
        user: 'postgres',
        database: 'postgres',
        application_name: 'looker',
        tls: 'off',
        last_route: expect.stringMatching(/^n2: /),
      }),
    );
    expect((await c.query('SHOW understudy.servers')).rows.map(row => [row.member, row.role])).toEqual([
      ['n1', 'primary'],
      ['n2', 'replica'],
    ]);
    const stats = Object.fromEntries((await c.query('SHOW understudy.stats')).rows.map(row => [row.name, Number(row.value)]));
    expect(stats['reads.n2']).toBeGreaterThan(0);
    const pools = (await c.query('SHOW understudy.pools')).rows.map(({ member, role, user, database }) =>
      [member, role, user, database].join(' '),
    );
    expect(pools).toContain('n2 replica postgres postgres');
  });
});
