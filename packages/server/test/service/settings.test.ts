import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MemberSpec, UnderstudyError } from '@understudy/core/cluster';
import { describe, expect, test } from 'vitest';
import { exampleFile, loadServiceSettings, runMember, type ServiceSettings } from '../../src/service/index.ts';
import { joined, specOf } from '../../src/service/membership.ts';
import { createSecrets } from '../../src/supervisor/secrets.ts';
import { testDirectory, threeMembers } from '../store/fixture.ts';

const MINIMAL = 'name: n1\nsecrets: secrets.json\netcd: { endpoints: ["http://10.0.0.1:2379"] }\n';

function load(text: string, env: Record<string, string> = {}) {
  const directory = testDirectory();
  writeFileSync(join(directory, 'member.yaml'), text);
  return { directory, settings: loadServiceSettings(directory, 'member.yaml', env) };
}

function refusalOf(text: string): string {
  try {
    load(text);
  } catch (error) {
    if (error instanceof UnderstudyError) return `${error.code}: ${error.message}`;
  }
  return 'none';
}

describe('the file of a service', () => {
  test('needs a name, its secrets and etcd; paths count from its own directory', () => {
    const { directory, settings } = load(`${MINIMAL}data: data\nhost: 10.0.0.1\nfailover: { leaseMs: 2000 }\n`);
    expect(settings).toMatchObject({
      name: 'n1',
      secrets: join(directory, 'secrets.json'),
      machineTls: null,
      viewTtlMs: 2000,
      priority: 100,
    });
    expect(settings.settings).toMatchObject({
      cluster: 'main',
      host: '10.0.0.1',
      data: join(directory, 'data'),
      failover: { leaseMs: 2000 },
    });
    expect(settings.etcd).toMatchObject({ endpoints: ['http://10.0.0.1:2379'], prefix: '/understudy/main/', tls: null, login: null });
  });

  test('gives way to the environment', () => {
    expect(load(MINIMAL, { UNDERSTUDY_HTTP_PORT: '9000' }).settings.settings.httpPort).toBe(9000);
  });

  test('takes what etcd is to be shown from files', () => {
    const directory = testDirectory();
    mkdirSync(join(directory, 'tls'));
    for (const [name, text] of [
      ['tls/ca.crt', 'CA'],
      ['tls/m.crt', 'CERT'],
      ['tls/m.key', 'KEY'],
      ['password', 'secret\n'],
    ] as const)
      writeFileSync(join(directory, name), text);
    const etcd = 'endpoints: ["https://a:2379"], ca: tls/ca.crt, cert: tls/m.crt, key: tls/m.key, user: u, passwordFile: password';
    writeFileSync(join(directory, 'p.yaml'), `name: p1\nsecrets: s.json\netcd: { ${etcd} }\n`);
    expect(loadServiceSettings(directory, 'p.yaml', {}).etcd).toMatchObject({
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY' },
      login: { user: 'u', password: 'secret' },
    });
  });

  test.each([
    ['no name', 'secrets: s\netcd: { endpoints: ["http://a:1"] }\n', 'bad-config'],
    ['a name that is none', MINIMAL.replace('n1', 'N 1'), 'bad-config'],
    ['no etcd', 'name: n1\nsecrets: s\n', 'bad-config'],
    ['an endpoint that is no URL', MINIMAL.replace('http://10.0.0.1:2379', '10.0.0.1'), 'bad-config'],
    ['a misspelt key', `${MINIMAL}memberPrt: 1\n`, 'unknown-key'],
    ['an API with a certificate that nobody names', `${MINIMAL}httpTls: machine\n`, 'machineTls names no certificate'],
    ['a certificate that is not there', MINIMAL.replace(' }', ', ca: nowhere.crt }'), 'bad-config'],
  ])('is refused with %s', (_what, text, code) => {
    expect(refusalOf(text)).toMatch(code);
  });

  test('says what a misspelt key may have meant', () => {
    expect(refusalOf(`${MINIMAL}priorty: 1\n`)).toContain('priority');
  });

  test.each(['member', 'proxy'] as const)('has an example that is taken as it stands: %s', kind => {
    const directory = testDirectory();
    for (const name of ['ca.crt', 'machine.crt', 'machine.key']) writeFileSync(join(directory, name), 'PEM');
    const text = exampleFile(kind);
    writeFileSync(join(directory, 'a.yaml'), text);
    // Every setting that is commented out holds when it is switched on.
    writeFileSync(
      join(directory, 'b.yaml'),
      text.replaceAll(/^# (?=[ ]*[a-zA-Z]+:( |$))/gm, '').replaceAll(/^ {2}(user|passwordFile):.*$/gm, ''),
    );
    const { file: _a, ...asItStands } = loadServiceSettings(directory, 'a.yaml', {});
    const { file: _b, ...switchedOn } = loadServiceSettings(directory, 'b.yaml', {});
    expect(switchedOn).toEqual(asItStands);
  });
});

test('a cascading replica names another member', () => {
  expect(specOf(load(`${MINIMAL}follows: n2\n`).settings)).toMatchObject({ follows: 'n2' });
  expect(specOf(load(MINIMAL).settings)).toMatchObject({ follows: null });
  expect(refusalOf(`${MINIMAL}follows: n1\n`)).toContain('follows names this member itself');
  expect(refusalOf(`${MINIMAL}follows: N 2\n`)).toContain('follows must be the name of a member');
});

test('a delayed replica takes no reads unless its file says so', () => {
  const specFrom = (text: string): MemberSpec => specOf(load(`${MINIMAL}${text}`).settings);
  expect(specFrom('')).toMatchObject({ applyDelayMs: 0, readWeight: 100 });
  expect(specFrom('applyDelayMs: 3600000\n')).toMatchObject({ applyDelayMs: 3_600_000, readWeight: 0 });
  expect(specFrom('applyDelayMs: 3600000\nreadWeight: 50\n')).toMatchObject({ readWeight: 50 });
  expect(refusalOf(`${MINIMAL}applyDelayMs: 1h\n`)).toContain('bad-config');
});

describe('a member that is started', () => {
  const told = (): MemberSpec => specOf(load(`${MINIMAL}host: 10.0.0.9\nmemberPort: 5433\nzone: west\n`).settings);

  test('takes its new address, and stays what it was otherwise', () => {
    const before = threeMembers();
    const leaving = { ...before, members: { ...before.members, n1: { ...before.members['n1']!, lifecycle: 'leaving' as const } } };
    expect(joined(leaving, told()).members['n1']).toMatchObject({ host: '10.0.0.9', zone: 'west', lifecycle: 'leaving' });
    expect(joined(before, told()).members['n2']).toBe(before.members['n2']);
  });

  test('changes nothing when all is known', () => {
    const once = joined(threeMembers(), told());
    expect(joined(once, told())).toBe(once);
  });

  test('is refused where there are as many as there may be', () => {
    const spec = told();
    let state = threeMembers();
    for (let i = 4; i <= 16; i++) state = joined(state, { ...spec, id: `n${i}` });
    expect(() => joined(state, { ...spec, id: 'n17' })).toThrow(UnderstudyError);
    expect(joined(state, { ...spec, priority: 7 }).members['n1']?.priority).toBe(7);
  });
});

test('a member whose certificate is none does not start, and has touched nothing', async () => {
  const directory = testDirectory();
  for (const name of ['ca.crt', 'machine.crt', 'machine.key']) writeFileSync(join(directory, name), 'PEM');
  createSecrets(join(directory, 'secrets.json'));
  const tls = 'data: data\nhttpTls: machine\nmachineTls: { ca: ca.crt, cert: machine.crt, key: machine.key }\n';
  writeFileSync(join(directory, 'member.yaml'), `${MINIMAL}${tls}`);
  const load = (): ServiceSettings => loadServiceSettings(directory, 'member.yaml', {});
  const context = { version: '0', stop: AbortSignal.abort(), log: null as never, say: () => undefined };
  await expect(runMember(load(), context, load)).rejects.toThrow(/machine\.crt is not valid/);
  expect(existsSync(join(directory, 'data'))).toBe(false);
});
