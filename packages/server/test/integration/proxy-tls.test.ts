import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { startupMessage } from '@understudy/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { client, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

const read = (name: string): string => readFileSync(new URL(`../testdata/${name}`, import.meta.url), 'utf8');
const cert = read('localhost.crt');

describe('TLS at the proxy', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1, { tls: { cert, key: read('localhost.key') } });
  });

  afterAll(() => on?.close());

  test('a client that verifies the certificate is served, with the password bound to the channel', async () => {
    const c = await client(on, { host: 'localhost', ssl: { ca: cert }, enableChannelBinding: true } as Parameters<typeof client>[1]);
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('a client that trusts somebody else is not', async () => {
    await expect(client(on, { host: 'localhost', ssl: true })).rejects.toThrow(/self.signed|certificate/);
  });

  test('a client without TLS is served too', async () => {
    const c = await client(on);
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('direct TLS needs the protocol to be named', async () => {
    const named = connectTls({ host: '127.0.0.1', port: on.port, ca: cert, servername: 'localhost', ALPNProtocols: ['postgresql'] });
    await once(named, 'secureConnect');
    named.write(startupMessage(new Map([['user', 'postgres']])));
    expect((await once(named, 'data'))[0][0]).toBe(0x52);
    named.destroy();
    const unnamed = connectTls({ host: '127.0.0.1', port: on.port, ca: cert, servername: 'localhost' });
    unnamed.on('error', () => undefined);
    await once(unnamed, 'close');
  });

  test('large results go through TLS', async () => {
    const c = await client(on, { host: 'localhost', ssl: { ca: cert } });
    const { rows } = await c.query("SELECT repeat('x', 1000) AS t FROM generate_series(1, 20000)");
    expect(rows).toHaveLength(20_000);
    expect(rows.every(row => row.t.length === 1000)).toBe(true);
  });
});
