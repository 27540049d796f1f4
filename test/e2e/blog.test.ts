import { afterAll, beforeAll, expect, it } from 'vitest';
import { Door } from '../../examples/blog/src/door.ts';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { until } from '../support/wait.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
});
afterAll(() => cluster.destroy());

it("a primary that dies under the blog's traffic: no reader sees an error, an author makes a request once more at most, and sees what was published", async () => {
  const { username, password, pathname } = new URL(cluster.url);
  const door = new Door(`understudy://${username}:${password}@127.0.0.1:${cluster.httpPort}${pathname}`, 'strong');
  await door.prepare();
  const traffic = door.visitors({ visitors: 20, thinkMs: 10, readsPerWrite: 5, cookies: true });
  traffic.start();
  const pages = (more: number): Promise<true> => {
    const reads = (): number => Object.values(door.pool.routes.reads).reduce((sum, n) => sum + n, 0);
    const wanted = reads() + more;
    return until(`${more} reads`, () => (reads() >= wanted ? true : null));
  };
  await pages(500);
  const before = await cluster.status();
  process.kill(primaryOf(before).postmasterPid!, 'SIGKILL');
  await cluster.whenStatus('another term', ({ term }) => term > before.term);
  await pages(500);
  await traffic.stop();
  const { reads, writes, failedReads, failedWrites, stale, retriedWrites, retriedWritesOfOne } = traffic.take();
  expect({ failedReads, failedWrites, stale }).toEqual({ failedReads: 0, failedWrites: 0, stale: 0 });
  expect(reads).toBeGreaterThan(500);
  expect(retriedWritesOfOne).toBeLessThanOrEqual(1);
  expect(writes).toBeGreaterThan(retriedWrites);
  await door.close();
});
