import { EventEmitter, once } from 'node:events';
import { expect, it } from 'vitest';
import { feed, postPage } from '../src/pages.ts';
import { type Handle, Traffic } from '../src/traffic.ts';

const PLAN = { visitors: 1, thinkMs: 1, readsPerWrite: 0, cookies: true };

/** A blog in memory: what it is told is there at once, or never. */
function blog(shows: boolean): { handle: Handle; news: EventEmitter; cookies: (string | null)[] } {
  const news = new EventEmitter();
  const cookies: (string | null)[] = [];
  const texts: string[] = [];
  const handle: Handle = async request => {
    cookies.push(request.headers.get('cookie'));
    if (request.method === 'GET') {
      news.emit('read');
      return new Response(shows ? texts.join(' ') : 'nothing', { headers: { 'set-cookie': 'understudy=seen; Path=/' } });
    }
    texts.push(decodeURIComponent((await request.text()).replaceAll('+', ' ')));
    return new Response(null, { status: 303, headers: { location: '/posts/501#c1' } });
  };
  return { handle, news, cookies };
}

it.each([
  ['sees', true],
  ['does not see', false],
])('counts what its author %s', async (_what, shows) => {
  const { handle, news, cookies } = blog(shows);
  const traffic = new Traffic(handle, PLAN);
  traffic.start();
  for (let i = 0; i < 5; i++) await once(news, 'read');
  await traffic.stop();
  const { writes, reads, stale } = traffic.take();
  expect(writes).toBeGreaterThanOrEqual(5);
  expect(reads).toBe(writes);
  expect(stale).toBe(shows ? 0 : writes);
  expect(cookies[0]).toBeNull();
  expect(cookies.at(-1)).toBe('understudy=seen');
});

it('makes a write that failed once more, and counts reads that fail', async () => {
  const news = new EventEmitter();
  const traffic = new Traffic(
    () => {
      news.emit('request');
      return new Response('', { status: 503 });
    },
    { ...PLAN, readsPerWrite: 1 },
  );
  traffic.start();
  for (let i = 0; i < 40; i++) await once(news, 'request');
  await traffic.stop();
  const { writes, retriedWrites, failedWrites, reads, failedReads } = traffic.take();
  expect(writes).toBe(0);
  expect(failedReads).toBe(reads);
  expect(failedWrites).toBe(retriedWrites);
  expect(retriedWrites + reads).toBeGreaterThan(0);
});

it('escapes what people write', () => {
  const post = { id: 1, author: 'a', title: '<b>&', body: '<script>', published_at: new Date(0) };
  expect(String(postPage(post, []))).not.toContain('<script>');
  expect(feed([post])).toContain('<title>&lt;b&gt;&amp;</title>');
});
