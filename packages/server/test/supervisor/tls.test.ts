import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '@understudy/core/cluster';
import { parseSettings } from '@understudy/core/schemas';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tlsMaterial } from '../../src/supervisor/tls.ts';

describe("the router's certificate", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'understudy-tls-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const settings = (value: unknown): Settings => {
    const result = parseSettings(value);
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    return result.settings;
  };
  const material = (value: unknown) => tlsMaterial(settings(value), join(directory, 'tls'), Date.now());
  const file = (name: string): string => join(directory, 'tls', name);

  test('auto: none on this machine alone, one where others can connect', async () => {
    for (const host of ['127.0.0.1', 'localhost', '::1']) expect(await material({ host })).toBeNull();
    expect(await material({ host: '0.0.0.0' })).not.toBeNull();
    expect(await material({ host: '0.0.0.0', tls: { mode: 'off' } })).toBeNull();
    expect(await material({ tls: { mode: 'require' } })).toMatchObject({ required: true });
  });

  test('is signed by an authority of the cluster, names this machine, and is kept', async () => {
    const made = await material({ tls: { mode: 'on' } });
    const [own, authority] = [new X509Certificate(made?.cert ?? ''), new X509Certificate(readFileSync(file('ca.crt')))];
    expect(own.verify(authority.publicKey)).toBe(true);
    expect([authority.ca, own.ca]).toEqual([true, false]);
    expect([own.checkHost('localhost'), own.checkIP('127.0.0.1'), own.checkIP('::1')]).toEqual(['localhost', '127.0.0.1', '::1']);
    expect(['ca.key', 'server.key', 'ca.crt', 'server.crt'].map(name => (statSync(file(name)).mode & 0o777).toString(8))).toEqual([
      '600',
      '600',
      '644',
      '644',
    ]);
    expect(await material({ tls: { mode: 'on' } })).toEqual(made);
    const renamed = await material({ host: '192.0.2.7', tls: { mode: 'on' } });
    expect(new X509Certificate(renamed?.cert ?? '').verify(authority.publicKey)).toBe(true);
    expect(new X509Certificate(renamed?.cert ?? '').checkIP('192.0.2.7')).toBe('192.0.2.7');
  });

  test('can be given; what does not fit together is said before anything starts', async () => {
    await material({ tls: { mode: 'on' } });
    const given = { cert: file('server.crt'), key: file('server.key') };
    expect(await material({ tls: { ...given, clientCa: file('ca.crt') } })).toMatchObject({
      clientCa: readFileSync(file('ca.crt'), 'utf8'),
    });
    await expect(material({ tls: { ...given, key: file('ca.key') } })).rejects.toMatchObject({ code: 'bad-certificate' });
    await expect(material({ tls: { ...given, cert: file('nowhere') } })).rejects.toMatchObject({ code: 'bad-certificate' });
    writeFileSync(file('server.crt'), 'nonsense');
    await expect(material({ tls: { mode: 'on' } })).rejects.toMatchObject({ code: 'bad-certificate' });
    expect(parseSettings({ tls: { cert: 'a' } })).toMatchObject({ ok: false, issues: [{ key: 'tls.key' }] });
    expect(parseSettings({ tls: { mode: 'off', cert: 'a', key: 'b' } })).toMatchObject({ ok: false, issues: [{ key: 'tls.mode' }] });
  });
});
