import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuthority } from '../../src/certificates/authority.ts';
import { fetchTrusting } from '../../src/cli/https-fetch.ts';
import { runCommandLine } from '../../src/cli/main.ts';
import { clientOf } from '../../src/cli/target.ts';
import { apiTls, followApiCertificate } from '../../src/service/api-certificate.ts';
import { clusterPaths } from '../../src/supervisor/paths.ts';
import { testDirectory } from '../store/fixture.ts';
import { HttpsApi } from '../support/https-api.ts';
import { RecordedTerminal } from '../support/terminal.ts';

let api: HttpsApi;

beforeAll(async () => {
  api = await HttpsApi.start();
});
afterAll(() => api.close());

async function understudy(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  const terminal = new RecordedTerminal();
  const context = { terminal, env, cwd: '/', confirm: null, takeInterrupts: () => new AbortController().signal };
  const code = await runCommandLine(args, context);
  return { code, out: terminal.outText, err: terminal.errText };
}

describe('commands at an API that speaks HTTPS', () => {
  test('know it by the authority that --ca or UNDERSTUDY_CA names', async () => {
    const named = await understudy(['status', '--url', api.url, '--ca', api.files.ca, '--json']);
    expect(named).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(named.out)).toMatchObject({ schema: 1 });
    const set = await understudy(['url', '--json'], {
      UNDERSTUDY_URL: api.url,
      UNDERSTUDY_CA: api.files.ca,
      UNDERSTUDY_TOKEN: 'right-token',
    });
    expect(set).toMatchObject({ code: 0, err: '' });
  });

  test('perform operations with the token, and are told what is wrong as without TLS', async () => {
    const env = { UNDERSTUDY_URL: api.url, UNDERSTUDY_CA: api.files.ca };
    const asked = api.cluster.asked.length;
    expect((await understudy(['pause', '--json'], { ...env, UNDERSTUDY_TOKEN: 'right-token' })).code).toBe(0);
    expect(api.cluster.asked.slice(asked)).toMatchObject([{ request: { kind: 'pause' } }]);
    const refused = await understudy(['pause', '--json'], { ...env, UNDERSTUDY_TOKEN: 'wrong-token' });
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'bad-token' } });
  });

  test('send their token to nobody whose certificate is of another authority, and say so', async () => {
    const other = join(testDirectory(), 'other.crt');
    writeFileSync(other, (await createAuthority('main', Date.now())).cert);
    const asked = api.cluster.asked.length;
    for (const trust of [['--ca', other], []]) {
      const { code, err } = await understudy(['pause', '--url', api.url, ...trust], { UNDERSTUDY_TOKEN: 'right-token' });
      expect(code).toBe(1);
      expect(err).toContain(`The certificate of ${api.url} is not trusted`);
      expect(err).toContain('--ca FILE');
    }
    expect(api.cluster.asked).toHaveLength(asked);
  });

  test('refuse a file that is not there', async () => {
    const { code, err } = await understudy(['status', '--url', api.url, '--ca', '/nowhere.crt']);
    expect(code).toBe(2);
    expect(err).toContain('--ca');
  });
});

test('commands on the machine of a member know it by what its service has written', async () => {
  const http = { host: '127.0.0.1', port: api.server.port, ca: api.files.ca };
  const runtime = { pid: process.pid, http, router: http, token: 'right-token', startedAtMs: 0 };
  const client = clientOf({ paths: clusterPaths('/nowhere'), runtime, supervisorPid: process.pid });
  expect(client.url).toBe(api.url);
  expect(await client.connectionUrl('router')).toMatch(/^postgres/);
});

test('whoever speaks plain HTTP there gets no answer', async () => {
  await expect(fetch(`${api.url.replace('https', 'http')}/status`)).rejects.toThrow();
});

test('health checks and event streams are answered', async () => {
  const ask = fetchTrusting(api.authority.cert);
  const signal = AbortSignal.timeout(20_000);
  expect((await ask(`${api.url}/primary`, { method: 'OPTIONS', headers: {}, signal })).status).toBe(200);
  const answer = await ask(`${api.url}/events`, { headers: { accept: 'text/event-stream' }, signal });
  expect(answer.headers.get('content-type')).toMatch('text/event-stream');
  await answer.body!.cancel();
});

describe('a certificate that is renewed', () => {
  afterEach(() => void vi.useRealTimers());

  async function shown(): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: api.server.port, ca: api.authority.cert });
    await once(socket, 'secureConnect');
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    return new X509Certificate(raw).fingerprint256;
  }
  const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;

  test('is shown to those who come after it was written; one that is none changes nothing, and is told once', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const warnings: string[] = [];
    const end = followApiCertificate(api.server, api.files, apiTls(api.files), message => warnings.push(message));
    const renewed = await api.renew();
    expect(await shown()).not.toBe(fingerprint(renewed));
    vi.advanceTimersByTime(10_000);
    expect(await shown()).toBe(fingerprint(renewed));
    writeFileSync(api.files.cert, 'half a certif');
    vi.advanceTimersByTime(20_000);
    expect(await shown()).toBe(fingerprint(renewed));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('as it was');
    const last = await api.renew();
    vi.advanceTimersByTime(10_000);
    expect(await shown()).toBe(fingerprint(last));
    end();
  });
});
