import { describe, expect, it } from 'vitest';
import { createApi, serveApi, type StatusDocument } from '../../src/api/index.ts';
import { member, status } from '../support/status.ts';
import { RecordedCluster } from './facade.ts';

async function codeOf(path: string, document: StatusDocument = status(), method = 'GET'): Promise<number> {
  const cluster = new RecordedCluster();
  cluster.document = document;
  const app = createApi(cluster, { host: '127.0.0.1', dashboardDirectory: null, version: '0.0.0' });
  return (await app.request(path, { method })).status;
}

const lagging = status({
  members: [
    member('n1', { role: 'primary' }),
    member('n2', { lagBytes: 20 * 1024 ** 2 }),
    member('n3', { state: 'stopped', role: 'none' }),
  ],
});
const headless = status({
  verdict: 'no-primary',
  primary: null,
  members: [member('n1', { role: 'none', state: 'stopped' }), member('n2'), member('n3')],
});
const unconfirmed = status({ verdict: 'no-primary', primary: 'n1' });

describe('health checks of the cluster', () => {
  it.each([
    ['/primary', 200],
    ['/leader', 200],
    ['/master', 200],
    ['/read-write', 200],
    ['/replica', 200],
    ['/read-only', 200],
    ['/synchronous', 200],
    ['/asynchronous', 503],
    ['/health', 200],
    ['/readiness', 200],
    ['/liveness', 200],
  ])('%s of a healthy cluster is %i', async (path, code) => {
    expect(await codeOf(path)).toBe(code);
  });

  it.each([
    ['/primary', headless, 503],
    ['/primary', unconfirmed, 503],
    ['/replica', headless, 200],
    ['/readiness', headless, 200],
    ['/liveness', headless, 200],
    ['/replica', lagging, 200],
    ['/replica?lag=10MB', lagging, 503],
    ['/replica?lag=20971520', lagging, 200],
    ['/replica?lag=1GB', lagging, 200],
    ['/read-only?lag=10MB', lagging, 200],
    ['/replica?lag=ten', lagging, 400],
  ])('%s is answered by what the members are', async (path, document, code) => {
    expect(await codeOf(path, document)).toBe(code);
  });
});

describe('health checks of one member', () => {
  it.each([
    ['/primary?member=n1', 200],
    ['/primary?member=n2', 503],
    ['/members/n1/primary', 200],
    ['/members/n2/primary', 503],
    ['/members/n1/replica', 503],
    ['/members/n2/replica', 200],
    ['/members/n2/replica?lag=10MB', 503],
    ['/members/n3/replica', 503],
    ['/members/n3/health', 503],
    ['/members/n3/liveness', 200],
    ['/members/n9/health', 404],
    ['/primary?member=n9', 404],
    ['/members/..%2f/health', 404],
  ])('%s is %i', async (path, code) => {
    expect(await codeOf(path, lagging)).toBe(code);
  });

  it('says why', async () => {
    const cluster = new RecordedCluster();
    cluster.document = lagging;
    const app = createApi(cluster, { host: '127.0.0.1', dashboardDirectory: null, version: '0.0.0' });
    const answer = await app.request('/members/n2/replica?lag=1MB');
    expect(await answer.json()).toEqual({
      member: 'n2',
      role: 'replica',
      state: 'running',
      timeline: 1,
      lagBytes: 20_971_520,
      message: 'n2: replica, running, 20971520 bytes behind',
    });
  });
});

describe('as HAProxy asks', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('%s is answered by the status code', async method => {
    expect(await codeOf('/primary', status(), method)).toBe(200);
    expect(await codeOf('/primary', headless, method)).toBe(503);
  });

  it('answers HTTP/1.0 without a Host header', async () => {
    const { connect } = await import('node:net');
    const app = createApi(new RecordedCluster(), { host: '127.0.0.1', dashboardDirectory: null, version: '0.0.0' });
    const server = await serveApi(app, { host: '127.0.0.1', port: 0 });
    try {
      const answer = await new Promise<string>((resolve, reject) => {
        let text = '';
        const socket = connect(server.port, '127.0.0.1', () => socket.write('OPTIONS /primary HTTP/1.0\r\n\r\n'));
        socket.on('data', chunk => {
          text += chunk.toString();
        });
        socket.on('end', () => resolve(text));
        socket.on('error', reject);
      });
      expect(answer).toMatch(/^HTTP\/1\.[01] 200 /);
    } finally {
      await server.close();
    }
  });
});
