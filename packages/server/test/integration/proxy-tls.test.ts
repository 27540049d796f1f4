import { once } from 'node:events';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { cancelRequest, readErrorFields, startupMessage } from '@understudy/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CertifiedKey, createAuthority, issueCertificate } from '../../src/certificates/authority.ts';
import { ClientTls } from '../../src/proxy/client-tls.ts';
import { hasPrograms } from '../support/programs.ts';
import { WireClient } from '../support/wire-client.ts';
import { CREDENTIALS } from './postgres-fixture.ts';
import { client, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

const run = promisify(execFile);
const withPsql = await hasPrograms('psql');
const PLAIN = { clientCa: null, required: false };

function closed(socket: TLSSocket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise(resolve => {
    socket.once('close', () => resolve());
  });
}

describe('TLS at the proxy', () => {
  let on: ProxyBench;
  let authority: CertifiedKey;
  let directory: string;

  beforeAll(async () => {
    authority = await createAuthority('test', Date.now());
    const own = await issueCertificate(authority, ['localhost', '127.0.0.1'], Date.now());
    on = await openProxyBench(1, { tls: { ...own, ...PLAIN } });
    directory = await mkdtemp(join(tmpdir(), 'understudy-tls-'));
    await writeFile(join(directory, 'ca.crt'), authority.cert);
  });

  afterAll(async () => {
    await on?.close();
    await rm(directory, { recursive: true, force: true });
  });

  test('a client that verifies the certificate is served, with the password bound to the channel', async () => {
    const config = { host: 'localhost', ssl: { ca: authority.cert }, enableChannelBinding: true } as Parameters<typeof client>[1];
    const c = await client(on, config);
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('a client that trusts somebody else is not', async () => {
    await expect(client(on, { host: 'localhost', ssl: true })).rejects.toThrow(/self.signed|certificate/);
  });

  test('a client without TLS is served too', async () => {
    const c = await client(on);
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('TLS 1.1 is refused', async () => {
    const old = connectTls({
      host: '127.0.0.1',
      port: on.port,
      ca: authority.cert,
      ALPNProtocols: ['postgresql'],
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    await expect(once(old, 'secureConnect')).rejects.toThrow();
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('trap 37: %s, begun at once, needs the protocol to be named', async version => {
    const versions = { minVersion: version, maxVersion: version };
    const named = connectTls({ host: 'localhost', port: on.port, ca: authority.cert, ALPNProtocols: ['postgresql'], ...versions });
    await once(named, 'secureConnect');
    expect(named.getProtocol()).toBe(version);
    named.write(startupMessage(new Map([['user', 'postgres']])));
    expect((await once(named, 'data'))[0][0]).toBe(0x52);
    named.destroy();
    const unnamed = connectTls({ host: 'localhost', port: on.port, ca: authority.cert, ...versions });
    await closed(unnamed);
    const other = connectTls({ host: 'localhost', port: on.port, ca: authority.cert, ALPNProtocols: ['http/1.1'], ...versions });
    await closed(other);
  });

  test('large results go through TLS', async () => {
    const c = await client(on, { host: 'localhost', ssl: { ca: authority.cert } });
    const { rows } = await c.query("SELECT repeat('x', 1000) AS t FROM generate_series(1, 20000)");
    expect(rows).toHaveLength(20_000);
    expect(rows.every(row => row.t.length === 1000)).toBe(true);
  });

  describe.runIf(withPsql)('psql', () => {
    const psql = (host: string, more: string): Promise<{ stdout: string }> =>
      run('psql', ['-At', `host=${host} port=${on.port} user=postgres dbname=postgres ${more}`, '-c', 'SELECT 1'], {
        env: { ...process.env, PGPASSWORD: CREDENTIALS.superuser },
      });

    test('sslmode=verify-full with the authority of the cluster, channel binding required', async () => {
      const file = join(directory, 'ca.crt');
      for (const host of ['localhost', '127.0.0.1'])
        expect((await psql(host, `sslmode=verify-full sslrootcert=${file} channel_binding=require`)).stdout).toBe('1\n');
    });

    test('verify-full refuses another name and another authority', async () => {
      const other = join(directory, 'other.crt');
      await writeFile(other, (await createAuthority('other', Date.now())).cert);
      await expect(psql('localhost', `sslmode=verify-full sslrootcert=${other}`)).rejects.toThrow(/certificate verify failed/);
      const elsewhere = `hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=${join(directory, 'ca.crt')}`;
      await expect(psql('elsewhere.example', elsewhere)).rejects.toThrow(/does not match host name/);
    });
  });
});

describe('mutual TLS at the proxy', () => {
  let on: ProxyBench;
  let authority: CertifiedKey;

  beforeAll(async () => {
    authority = await createAuthority('test', Date.now());
    const own = await issueCertificate(authority, ['localhost'], Date.now());
    on = await openProxyBench(0, { tls: { ...own, clientCa: authority.cert, required: false } });
  });

  afterAll(() => on?.close());

  test('a certificate of the authority lets a client try its password', async () => {
    const own = await issueCertificate(authority, ['ann'], Date.now());
    const c = await client(on, { host: 'localhost', ssl: { ca: authority.cert, ...own } });
    expect((await c.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await expect(client(on, { host: 'localhost', password: 'wrong', ssl: { ca: authority.cert, ...own } })).rejects.toMatchObject({
      code: '28P01',
    });
  });

  test('none, or one of somebody else, does not', async () => {
    const stranger = await issueCertificate(await createAuthority('other', Date.now()), ['ann'], Date.now());
    await expect(client(on, { host: 'localhost', ssl: { ca: authority.cert } })).rejects.toThrow();
    await expect(client(on, { host: 'localhost', ssl: { ca: authority.cert, ...stranger } })).rejects.toThrow();
  });

  test('nor does a connection without TLS, which may only cancel', async () => {
    const c = await WireClient.raw(on.port);
    c.send(startupMessage(new Map([['user', 'postgres']])));
    const { type, frame } = await c.next();
    expect([type, readErrorFields(frame).code]).toEqual(['E', '28000']);
    const canceller = await WireClient.raw(on.port);
    canceller.send(cancelRequest({ processId: 1, secret: Buffer.alloc(4) }));
    await expect(canceller.next()).rejects.toThrow('closed');
  });
});

test("a key that is not the certificate's is found at once", async () => {
  const authority = await createAuthority('test', Date.now());
  const [one, other] = [await issueCertificate(authority, ['a'], Date.now()), await issueCertificate(authority, ['b'], Date.now())];
  await expect(ClientTls.create({ cert: one.cert, key: other.key, ...PLAIN })).rejects.toThrow(/key values mismatch/);
});
