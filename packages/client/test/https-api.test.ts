import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpsApi } from '../../server/test/support/https-api.ts';
import { routerConfig, type SourceConfig } from '../src/config.ts';
import { ClusterFeed } from '../src/topology/feed.ts';
import { getJson } from '../src/topology/http.ts';

let api: HttpsApi;

beforeAll(async () => {
  api = await HttpsApi.start();
});
afterAll(() => api.close());

function sourceOf(connectionString: string): Extract<SourceConfig, { kind: 'understudy' }> {
  const { source } = routerConfig({ connectionString });
  if (source.kind !== 'understudy') throw new Error(source.kind);
  return source;
}

const url = (scheme: string, trust = ''): string => `${scheme}://app:secret@127.0.0.1:${api.server.port}/shop${trust}`;

test('an API that speaks HTTPS is followed with the authority by which the servers are known', async () => {
  const { apis, transport } = sourceOf(url('understudy+https', `?sslmode=verify-full&sslrootcert=${api.files.ca}`));
  expect(apis).toEqual([{ host: '127.0.0.1', port: api.server.port }]);
  const feed = new ClusterFeed(apis, transport);
  await feed.start();
  expect(feed.current()).toEqual(api.cluster.known);
  feed.stop();
});

test('one whose certificate is of nobody who is trusted is not believed', async () => {
  const { apis, transport } = sourceOf(url('understudy+https'));
  expect(transport).toEqual({ kind: 'https', ca: null });
  await expect(getJson(apis[0]!, '/topology', 20_000, transport)).rejects.toThrow(/certificate/);
});

test('the other scheme stays plain HTTP, whatever is said about TLS to the servers', () => {
  expect(sourceOf(url('understudy', `?sslmode=verify-full&sslrootcert=${api.files.ca}`)).transport).toEqual({ kind: 'http' });
});
