import { once } from 'node:events';
import { connect } from 'node:net';
import { backend, frontend, GSSENC_REQUEST, readErrorFields, SSL_REQUEST, startupMessage } from '@understudy/wire';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { CREDENTIALS, sql } from './postgres-fixture.ts';
import { client, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

describe('logging in through the proxy', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1, { loginTimeoutMs: 1_500 });
  });

  afterAll(() => on?.close());

  const login = (user: string, password: string, database = 'postgres'): Promise<pg.Client> => client(on, { user, password, database });

  test('roles made and passwords changed a moment ago work at once', async () => {
    await sql(on.primary, "CREATE ROLE ann LOGIN PASSWORD 'first'");
    expect((await (await login('ann', 'first')).query('SELECT current_user::text AS u')).rows).toEqual([{ u: 'ann' }]);
    await sql(on.primary, "ALTER ROLE ann PASSWORD 'second'");
    await login('ann', 'second');
    await expect(login('ann', 'first')).rejects.toMatchObject({ code: '28P01' });
    await sql(on.primary, 'ALTER ROLE ann NOLOGIN');
    await expect(login('ann', 'second')).rejects.toMatchObject({ code: '28P01' });
  });

  test('trap 38: an expired password, a role without one and one that does not exist are refused alike', async () => {
    await sql(on.primary, "CREATE ROLE old LOGIN PASSWORD 'pw' VALID UNTIL '2001-01-01'");
    await sql(on.primary, 'CREATE ROLE bare LOGIN');
    for (const user of ['old', 'bare', 'nobody-at-all']) {
      await expect(login(user, 'pw')).rejects.toMatchObject({
        code: '28P01',
        message: `password authentication failed for user "${user}"`,
      });
    }
  });

  test('names and passwords with odd characters', async () => {
    await sql(on.primary, `CREATE ROLE "o'Brien \\ ü" LOGIN PASSWORD 'p''w \\ ü'`);
    const c = await login("o'Brien \\ ü", "p'w \\ ü");
    expect((await c.query('SELECT current_user::text AS u')).rows).toEqual([{ u: "o'Brien \\ ü" }]);
  });

  test('the server says itself why it refuses: no such database, too many connections', async () => {
    await expect(login('postgres', CREDENTIALS.superuser, 'nowhere')).rejects.toMatchObject({ code: '3D000' });
    await sql(on.primary, "CREATE ROLE few LOGIN PASSWORD 'pw' CONNECTION LIMIT 0");
    await expect(login('few', 'pw')).rejects.toMatchObject({ code: '53300' });
  });

  test('trap 36: SSLRequest and GSSENCRequest are refused politely when there is no certificate', async () => {
    const socket = connect(on.port, '127.0.0.1');
    socket.write(GSSENC_REQUEST);
    expect(String((await once(socket, 'data'))[0])).toBe('N');
    socket.write(SSL_REQUEST);
    expect(String((await once(socket, 'data'))[0])).toBe('N');
    socket.write(startupMessage(new Map([['user', 'postgres']])));
    expect((await once(socket, 'data'))[0][0]).toBe(0x52);
    socket.destroy();
  });

  test('trap 36: bytes sent behind an SSLRequest are refused', async () => {
    const c = await WireClient.raw(on.port);
    c.send(SSL_REQUEST, startupMessage(new Map([['user', 'postgres']])));
    const { type, frame } = await c.next();
    expect([type, readErrorFields(frame).code]).toEqual(['E', '08P01']);
  });

  test.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['random bytes', Buffer.from('00ff13374242deadbeef00112233', 'hex')],
    ['protocol 2', Buffer.from([0, 0, 0, 9, 0, 2, 0, 0, 0])],
    ['no user', startupMessage(new Map([['database', 'postgres']]))],
  ])('%s: a clear error and a closed connection', async (_name, bytes) => {
    const c = await WireClient.raw(on.port);
    c.send(bytes);
    const { type, frame } = await c.next();
    expect(type).toBe('E');
    expect(readErrorFields(frame).severity).toBe('FATAL');
    await expect(c.next()).rejects.toThrow('closed');
  });

  test('garbage after the login ends the session and nothing else', async () => {
    const c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser);
    c.send(Buffer.from([0x51, 0, 0, 0, 1]));
    const { type, frame } = await c.next();
    expect([type, readErrorFields(frame).code]).toEqual(['E', '08P01']);
    await expect(c.next()).rejects.toThrow('closed');
    await login('postgres', CREDENTIALS.superuser);
  });

  test('a client that says nothing, or only half, is let go', async () => {
    const silent = await WireClient.raw(on.port);
    const half = await WireClient.raw(on.port);
    half.send(startupMessage(new Map([['user', 'postgres']])).subarray(0, 10));
    await expect(silent.next()).rejects.toThrow('closed');
    await expect(half.next()).rejects.toThrow('closed');
  });

  test('trap 35: protocol versions and options are negotiated', async () => {
    const c = await WireClient.raw(on.port);
    c.send(
      startupMessage(
        new Map([
          ['user', 'postgres'],
          ['_pq_.grease', '1'],
        ]),
        9999,
      ),
    );
    const { type, frame } = await c.next();
    expect(type).toBe('v');
    expect([frame.readInt32BE(5), frame.readInt32BE(9)]).toEqual([0x30002, 1]);
    await c.authenticate(CREDENTIALS.superuser);
    expect(c.key?.secret.length).toBe(32);
    await c.end();
  });

  test('clients are told a writable server, with its settings', async () => {
    const c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser);
    const direct = await WireClient.login(on.primary.spec.settings.port, 'postgres', CREDENTIALS.superuser);
    expect(c.parameters).toEqual(direct.parameters);
    await c.end();
    await direct.end();
  });

  test('without a primary one can still log in and read', async () => {
    const topology = on.topology.current();
    on.topology.set({ ...topology, primary: { kind: 'absent', reason: 'an election is under way' } });
    try {
      const c = await client(on);
      expect((await c.query('SELECT pg_is_in_recovery() AS r')).rows).toEqual([{ r: true }]);
    } finally {
      on.topology.set(topology);
    }
  });

  test('trap 40: replication connections reach the primary', async () => {
    const c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser, { replication: 'database' });
    c.send(frontend.query('IDENTIFY_SYSTEM'));
    const row = (await c.untilReady()).find(m => m.type === 'D');
    expect(row && backend.readDataRow(row.frame)[3]).toBe('postgres');
    await c.end();
  });
});
