import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/certificates/authority.ts';
import type { TlsMaterial } from '../../src/proxy/client-tls.ts';
import { eventually } from './postgres-fixture.ts';
import { client, lastRoute, openProxyBench, optionsWith, type ProxyBench } from './proxy-fixture.ts';

describe('a proxy that takes on other options while it runs', () => {
  let on: ProxyBench;
  let first: TlsMaterial;
  let authority: { readonly cert: string };

  async function material(): Promise<{ authority: { readonly cert: string }; tls: TlsMaterial }> {
    const made = await createAuthority('test', Date.now());
    return { authority: made, tls: { ...(await issueCertificate(made, ['localhost'], Date.now())), clientCa: null, required: false } };
  }

  beforeAll(async () => {
    ({ authority, tls: first } = await material());
    on = await openProxyBench(1, { tls: first });
  });

  afterAll(() => on?.close());

  const secured = (ca: string): Parameters<typeof client>[1] => ({ host: 'localhost', ssl: { ca } });

  test('a new certificate is shown to new clients; those that are there go on, in the middle of a transaction', async () => {
    const c = await client(on, secured(authority.cert));
    await c.query('BEGIN');
    await c.query('CREATE TABLE kept (i int)');
    const next = await material();
    await on.proxy.reload(optionsWith({ tls: next.tls }));
    await c.query('INSERT INTO kept VALUES (1)');
    await c.query('COMMIT');
    const d = await client(on, secured(next.authority.cert));
    expect((await d.query('SELECT i FROM kept')).rows).toEqual([{ i: 1 }]);
    await expect(client(on, secured(authority.cert))).rejects.toThrow(/certificate|signature/);
    await on.proxy.reload(optionsWith({ tls: first }));
  });

  test('a certificate that is not usable changes nothing', async () => {
    await expect(on.proxy.reload(optionsWith({ tls: { ...first, cert: 'none' }, maxClients: 1 }))).rejects.toThrow();
    await Promise.all([client(on, secured(authority.cert)), client(on, secured(authority.cert))]);
  });

  test('function lists count for statements that are known already', async () => {
    const c = await client(on);
    await c.query('CREATE FUNCTION declared_volatile() RETURNS int VOLATILE LANGUAGE sql AS $$ SELECT 1 $$');
    const route = async (): Promise<string> => {
      await c.query('SELECT declared_volatile()');
      return lastRoute(c);
    };
    await eventually(async () => (await route()).startsWith('n1'), 'the primary runs it');
    await on.proxy.reload(optionsWith({ tls: first, functions: { allow: ['declared_volatile'], deny: [] } }));
    expect(await route()).toMatch(/^n2/);
    await on.proxy.reload(optionsWith({ tls: first, functions: { allow: [], deny: ['declared_volatile'] } }));
    expect(await route()).toMatch(/^n1/);
  });

  test('a smaller pool closes what is too much, a larger one opens more', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => client(on)));
    const holdAll = (): Promise<unknown> => Promise.all(clients.map(c => c.query('BEGIN; SELECT 1')));
    const commitAll = (): Promise<unknown> => Promise.all(clients.map(c => c.query('COMMIT')));
    const connections = async (): Promise<number> => {
      const { rows } = await (clients[0] as (typeof clients)[number]).query('SHOW understudy.pools');
      return Number(rows.find(row => row.role === 'primary' && row.user === 'postgres')?.connections);
    };
    await holdAll();
    await on.proxy.reload(optionsWith({ tls: first, poolSize: 1 }));
    await commitAll();
    await eventually(async () => (await connections()) === 1, 'one connection is left');
    await on.proxy.reload(optionsWith({ tls: first, poolSize: 4 }));
    await holdAll();
    expect(await connections()).toBe(4);
    await commitAll();
  });

  test('a time limit that did not exist holds for clients that are there', async () => {
    const c = await client(on);
    const ended = new Promise(resolve => c.once('end', resolve));
    await c.query('BEGIN');
    await on.proxy.reload(optionsWith({ tls: first, idleInTransactionTimeoutMs: 200 }));
    await ended;
    await on.proxy.reload(optionsWith({ tls: first }));
  });
});
