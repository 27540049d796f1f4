import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { expect, test } from 'vitest';
import { type Layout, loadServiceSettings, prepareMachines } from '../../src/service/index.ts';
import { testDirectory } from '../store/fixture.ts';

const LAYOUT: Layout = {
  cluster: 'main',
  etcd: ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  members: ['10.0.0.1', '10.0.0.2', 'db3.example'],
  proxies: ['10.0.0.1', '10.0.0.2'],
  dataDirectory: '/var/lib/understudy',
  provider: 'system',
};

test('each address gets what runs there, and its own certificate of one authority', async () => {
  const directory = testDirectory();
  expect(await prepareMachines(directory, LAYOUT, 'new')).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', 'db3.example']);
  const trust = ['ca.crt', 'machine.crt', 'machine.key', 'secrets.json'];
  expect(readdirSync(join(directory, '10.0.0.1')).sort()).toEqual([...trust, 'etcd.yaml', 'member.yaml', 'proxy.yaml'].sort());
  expect(readdirSync(join(directory, '10.0.0.3')).sort()).toEqual([...trust, 'etcd.yaml'].sort());
  expect(readdirSync(join(directory, 'db3.example')).sort()).toEqual([...trust, 'member.yaml'].sort());
  const ca = new X509Certificate(readFileSync(join(directory, 'ca', 'ca.crt')));
  for (const address of ['10.0.0.1', 'db3.example']) {
    const certificate = new X509Certificate(readFileSync(join(directory, address, 'machine.crt')));
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(isIP(address) ? certificate.checkIP(address) : certificate.checkHost(address)).toBe(address);
    expect(certificate.subject).not.toContain('CN=');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  }
  for (const secret of ['ca/ca.key', 'ca/secrets.json', '10.0.0.1/machine.key', '10.0.0.1/secrets.json'])
    expect(statSync(join(directory, secret)).mode & 0o077, secret).toBe(0);
});

test('its files are taken by the services, which agree on the cluster', async () => {
  const directory = testDirectory();
  await prepareMachines(directory, LAYOUT, 'new');
  const member = loadServiceSettings(join(directory, 'db3.example'), 'member.yaml', {});
  const proxy = loadServiceSettings(join(directory, '10.0.0.2'), 'proxy.yaml', {});
  expect(member).toMatchObject({ httpTls: 'machine', machineTls: { cert: join(directory, 'db3.example', 'machine.crt') } });
  expect(member).toMatchObject({ name: 'n3', settings: { host: 'db3.example', memberPort: 5433, provider: 'system' } });
  expect(proxy).toMatchObject({ name: 'p2', settings: { host: '10.0.0.2', port: 5432, data: '/var/lib/understudy/p2' } });
  expect(proxy.etcd.endpoints).toEqual(member.etcd.endpoints);
  expect(readFileSync(proxy.secrets)).toEqual(readFileSync(member.secrets));
});

test('an authority is never made over one that is there; renewing keeps it and the secrets', async () => {
  const directory = testDirectory();
  await expect(prepareMachines(directory, LAYOUT, 'renew')).rejects.toThrow(UnderstudyError);
  await prepareMachines(directory, LAYOUT, 'new');
  const read = (file: string): string => readFileSync(join(directory, file), 'utf8');
  const kept = ['ca/ca.crt', 'ca/ca.key', 'ca/secrets.json', '10.0.0.1/member.yaml'];
  const before = kept.map(read);
  const certificate = read('10.0.0.1/machine.crt');
  await expect(prepareMachines(directory, LAYOUT, 'new')).rejects.toThrow(UnderstudyError);
  await prepareMachines(directory, LAYOUT, 'renew');
  expect(kept.map(read)).toEqual(before);
  expect(read('10.0.0.1/machine.crt')).not.toBe(certificate);
});
