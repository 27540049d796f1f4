import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clone, installTls, PostgresServer, type TlsSources } from '../../src/postgres/index.ts';
import { createAuthority, issueMachineCertificate, type CertifiedKey } from '../../src/certificates/authority.ts';
import { ProxyServer } from '../../src/proxy/proxy-server.ts';
import { openAsRouter } from '../../src/proxy/router-connection.ts';
import { ManualTopology, openTopology, optionsWith } from './proxy-fixture.ts';
import { type Bench, CREDENTIALS, eventually, type Member, openBench, sql, startPrimary } from './postgres-fixture.ts';

/** As libpq asks for it: on a connection of its own. */
async function cancel(client: pg.Client, port: number): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const request = Buffer.alloc(16);
  for (const [i, value] of [16, 80877102, processID, secretKey].entries()) request.writeInt32BE(value, i * 4);
  const socket = connect(port, '127.0.0.1');
  const closed = once(socket, 'close');
  socket.end(request);
  socket.resume();
  await closed;
}

// Replication between machines: who streams shows a certificate of the cluster, and asks for one.
describe('streaming with certificates', () => {
  let bench: Bench;
  let authority: CertifiedKey;
  let primary: Member;
  let replica: Member;

  /** A member whose machine has a certificate of this authority. */
  async function secured(id: string, issuer: CertifiedKey): Promise<Member> {
    const member = await bench.member(id);
    const sources = await certificateFiles(id, issuer);
    const tlsDirectory = join(member.spec.paths.memberDirectory, 'tls');
    await mkdir(member.spec.paths.memberDirectory, { recursive: true });
    await installTls(bench.account, sources, tlsDirectory);
    const spec = { ...member.spec, settings: { ...member.spec.settings, tlsDirectory } };
    return { ...member, spec, server: new PostgresServer(spec, exit => member.exits.push(exit)) };
  }

  async function certificateFiles(id: string, issuer: CertifiedKey): Promise<TlsSources> {
    const { cert, key } = await issueMachineCertificate(issuer, '127.0.0.1', Date.now());
    const at = (part: string): string => join(bench.directory, `${id}.${part}`);
    for (const [part, text] of Object.entries({ ca: issuer.cert, cert, key })) writeFileSync(at(part), text, { mode: 0o600 });
    return { ca: at('ca'), cert: at('cert'), key: at('key') };
  }

  async function startReplica(member: Member): Promise<void> {
    const source = { host: '127.0.0.1', port: primary.spec.settings.port };
    await clone(member.spec, { source, systemId: await primary.server.systemId(), slotName: `slot_${member.id}` });
    const upstream = { ...source, applicationName: `${member.id}_t1`, slotName: `slot_${member.id}` };
    await member.server.start({ role: 'replica', upstream });
    await member.server.waitUntilReady(20_000);
  }

  const streaming = async (member: Member): Promise<boolean> => {
    const seen = await member.server.observe(2000);
    return seen.kind === 'replica' && seen.receiver?.streaming === true;
  };

  beforeAll(async () => {
    bench = await openBench('embedded');
    authority = await createAuthority('main', Date.now());
    primary = await secured('n1', authority);
    await startPrimary(primary);
    replica = await secured('n2', authority);
    await startReplica(replica);
  });
  afterAll(async () => {
    for (const member of [primary, replica]) await member?.server.fence();
    await bench?.close();
  });

  test('a machine of the cluster streams, encrypted', async () => {
    await eventually(() => streaming(replica), 'streaming');
    expect(
      await sql(primary, 'SELECT ssl, client_serial IS NOT NULL AS shown FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)'),
    ).toEqual([{ ssl: true, shown: true }]);
  });

  test.each([
    ['without TLS', undefined, 'true'],
    ['with TLS and no certificate', { rejectUnauthorized: false }, 'true'],
    ['with TLS and no certificate, by way of a database', { rejectUnauthorized: false }, 'database'],
    ['with TLS and no certificate, for a query', { rejectUnauthorized: false }, undefined],
  ])('the password of replication alone, stolen, opens nothing: %s', async (_how, ssl, replication) => {
    const stolen = {
      host: '127.0.0.1',
      port: primary.spec.settings.port,
      user: 'understudy_replication',
      password: CREDENTIALS.replication,
    };
    const thief = new pg.Client({ ...stolen, database: 'postgres', ssl, ...(replication ? { replication } : {}) } as pg.ClientConfig);
    thief.on('error', () => undefined);
    await expect(thief.connect()).rejects.toThrow(/pg_hba|certificate/);
  });

  test('a certificate of another cluster opens nothing, even with the right password', async () => {
    const other = await certificateFiles('stranger', await createAuthority('other', Date.now()));
    const ssl = { rejectUnauthorized: false, cert: readFileSync(other.cert, 'utf8'), key: readFileSync(other.key, 'utf8') };
    const stranger = new pg.Client({
      host: '127.0.0.1',
      port: primary.spec.settings.port,
      user: 'understudy_replication',
      password: CREDENTIALS.replication,
      ssl,
      replication: 'true',
    } as pg.ClientConfig);
    stranger.on('error', () => undefined);
    await expect(stranger.connect()).rejects.toThrow();
  });

  test('a router reaches the servers over TLS, and cancels over it too', async () => {
    const { cert, key } = await issueMachineCertificate(authority, '127.0.0.1', Date.now());
    const topology = new ManualTopology(openTopology(1, primary, [replica]));
    const proxy = new ProxyServer(optionsWith({ serverTls: { ca: authority.cert, cert, key } }), topology);
    const { port } = await proxy.start();
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: CREDENTIALS.superuser, database: 'postgres' });
    await client.connect();
    try {
      const { rows } = await client.query('/* understudy:primary */ select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: true }]);
      const routers =
        "select bool_and(ssl) as ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'understudy router'";
      expect(await sql(primary, routers)).toEqual([{ ssl: true }]);
      const sleeping = client.query('/* understudy:primary */ select pg_sleep(60)');
      const slept = sleeping.then(
        () => 'to the end',
        (error: { code?: string }) => error.code,
      );
      await eventually(
        async () =>
          (
            await sql(
              primary,
              "select count(*)::int as n from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()",
            )
          )[0]?.['n'] === 1,
        'the statement runs',
      );
      await cancel(client, port);
      expect(await slept).toBe('57014');
    } finally {
      await client.end();
      await proxy.stop();
    }
  });

  test('a router takes no server that has a certificate of another authority', async () => {
    const other = await createAuthority('other', Date.now());
    const { cert, key } = await issueMachineCertificate(other, '127.0.0.1', Date.now());
    const options = optionsWith({ serverTls: { ca: other.cert, cert, key } });
    await expect(openAsRouter({ host: '127.0.0.1', port: primary.spec.settings.port }, options)).rejects.toThrow(/certificate|verify/);
  });

  test('a renewed certificate is taken over while the servers run', async () => {
    const serial = async (): Promise<unknown> =>
      (await sql(primary, 'SELECT client_serial::text AS serial FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)'))[0]?.['serial'];
    const [before, life] = [await serial(), primary.server.pid];
    for (const member of [replica, primary]) {
      const changed = await installTls(bench.account, await certificateFiles(member.id, authority), member.spec.settings.tlsDirectory!);
      expect(changed).toBe(true);
      member.server.reload();
    }
    await sql(primary, 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
    await eventually(
      async () => (await streaming(replica)) && ![before, undefined].includes((await serial()) as string),
      'streaming with the new certificate',
    );
    expect(primary.server.pid).toBe(life);
  });
});
