import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CertifiedKey, createAuthority, issueMachineCertificate } from '../../src/certificates/authority.ts';
import { etcdOptions, followEtcdCertificate } from '../../src/service/etcd-certificate.ts';
import { openStore } from '../../src/service/open-store.ts';
import type { EtcdStore } from '../../src/store/etcd/store.ts';
import { reportOf, threeMembers, until } from '../store/fixture.ts';
import { freePort } from './etcd-fixture.ts';

const LOOK_MS = 50;

let directory: string;
let endpoint: string;
let etcd: ChildProcess | null = null;
let peer: number;

const file = (name: string): string => join(directory, name);
const write = (name: string, text: string): void => writeFileSync(file(name), text);
const writeCertificate = (name: string, { cert, key }: CertifiedKey): void => {
  write(`${name}.crt`, cert);
  write(`${name}.key`, key);
};
const issue = (authority: CertifiedKey): Promise<CertifiedKey> => issueMachineCertificate(authority, '127.0.0.1', Date.now());

/** One node that takes nobody without a certificate, neither clients nor what it asks itself. */
function startEtcd(): void {
  const settings = {
    name: 'e0',
    'data-dir': file('data'),
    logger: 'zap',
    'log-level': 'error',
    'listen-client-urls': endpoint,
    'advertise-client-urls': endpoint,
    'listen-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-advertise-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-cluster': `e0=http://127.0.0.1:${peer}`,
    'cert-file': file('etcd.crt'),
    'key-file': file('etcd.key'),
    'trusted-ca-file': file('etcd-ca.crt'),
    'client-cert-auth': 'true',
  };
  etcd = spawn(
    'etcd',
    Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    { stdio: 'ignore' },
  );
}

async function stopEtcd(): Promise<void> {
  if (!etcd) return;
  const ended = once(etcd, 'exit');
  etcd.kill('SIGTERM');
  await ended;
  etcd = null;
}

async function restartEtcd(): Promise<void> {
  await stopEtcd();
  startEtcd();
}

/** As agents do: until it is answered. */
async function reports(store: EtcdStore, sequence: number, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    const why = await store.report(reportOf('n1', { sequence })).then(
      () => null,
      (error: Error) => error,
    );
    if (why === null) return;
    if (performance.now() > end) throw why;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-etcd-'));
  endpoint = `https://127.0.0.1:${await freePort()}`;
  peer = await freePort();
});

afterAll(async () => {
  await stopEtcd();
  rmSync(directory, { recursive: true, force: true });
});

test('a member whose certificate, and whose authority, is renewed goes on with etcd after the old ones are taken back', async () => {
  const [before, after] = [await createAuthority('before', Date.now()), await createAuthority('after', Date.now())];
  const stranger = await createAuthority('stranger', Date.now());
  writeCertificate('etcd', await issue(before));
  write('etcd-ca.crt', before.cert);
  writeCertificate('machine', await issue(before));
  write('ca.crt', before.cert);
  startEtcd();

  const etcdTls = { ca: file('ca.crt'), cert: file('machine.crt'), key: file('machine.key') };
  const tls = { ca: readFileSync(etcdTls.ca, 'utf8'), cert: readFileSync(etcdTls.cert, 'utf8'), key: readFileSync(etcdTls.key, 'utf8') };
  const etcdSettings = { endpoints: [endpoint], prefix: '/understudy/main/', tls, login: null, attemptMs: 1000 };
  const config = { etcd: etcdSettings, etcdTls };
  const store = (await openStore(config, threeMembers, AbortSignal.timeout(30_000), () => undefined))!;
  const warnings: string[] = [];
  const taken: string[] = [];
  const following = {
    useTls: async (texts: Parameters<EtcdStore['useTls']>[0]) => {
      await store.useTls(texts);
      taken.push(texts.cert!);
    },
  };
  const unfollow = followEtcdCertificate(following, config, why => warnings.push(why), LOOK_MS);
  try {
    await reports(store, 1);

    // Both authorities are trusted everywhere first, and then new certificates are given out: half a copy, or one that etcd does not know, is not taken.
    const both = `${before.cert}${after.cert}`;
    write('etcd-ca.crt', both);
    write('ca.crt', both);
    await until(() => taken.length === 1, 'both authorities');
    await restartEtcd();
    await reports(store, 2);
    const renewed = await issue(after);
    write('machine.crt', renewed.cert);
    await until(() => warnings.length === 1, 'a certificate without its key');
    await reports(store, 3);
    writeCertificate('machine', await issue(stranger));
    await until(() => warnings.length >= 2, 'a certificate that etcd refuses');
    await reports(store, 4);
    expect(taken).toHaveLength(1);
    writeCertificate('machine', renewed);
    await until(() => taken.at(-1) === renewed.cert, 'the new certificate');

    // The old authority is taken back, and with it whatever it has signed.
    writeCertificate('etcd', await issue(after));
    write('etcd-ca.crt', after.cert);
    write('ca.crt', after.cert);
    await until(() => taken.length === 3, 'the new authority alone');
    await restartEtcd();
    await reports(store, 5);
    await expect(store.read()).resolves.toMatchObject({ state: { name: 'main' } });
    // A member that starts reads the files as they are, whatever its settings were read with.
    expect(etcdOptions(config).tls?.cert).toBe(renewed.cert);
  } finally {
    unfollow();
    await store.close();
  }
}, 90_000);
