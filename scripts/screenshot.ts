// npm run screenshot: the picture of the README. A cluster under traffic loses its primary, and the dashboard is looked at a moment later.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, openPage } from '../test/browser/browser.ts';
import { Cluster, primaryOf } from '../test/support/cluster.ts';

const PICTURE = 'docs/images/dashboard-failover.png';
const LOOK = { width: 1280, scheme: 'light' } as const;
/** Enough for lines in the charts before the fault, and for the replica that comes back after it. */
const BEFORE_MS = 40_000;
const AFTER_MS = 9000;

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

const cluster = await Cluster.start('--replicas', '2');
const browser = await launch();
try {
  const pool = cluster.pool(8);
  await pool.query('create table posts(id serial primary key, title text)');
  await pool.query("insert into posts(title) select 'Post ' || n from generate_series(1, 1000) n");
  const work = { ended: false };
  const traffic = Array.from({ length: 8 }, (_, i) => visit(pool, i, work));
  const { token } = JSON.parse(readFileSync(join(cluster.data, 'run', 'supervisor.json'), 'utf8')) as { token: string };
  const { page } = await openPage(browser, `http://127.0.0.1:${cluster.httpPort}/#token=${token}`, LOOK);
  await pause(BEFORE_MS);
  process.kill(primaryOf(await cluster.whenHealthy()).postmasterPid!, 'SIGKILL');
  await pause(AFTER_MS);
  mkdirSync('docs/images', { recursive: true });
  await page.screenshot({ path: PICTURE });
  work.ended = true;
  await Promise.all(traffic);
  await pool.end();
} finally {
  await browser.close();
  await cluster.destroy();
}

/** One visitor: many reads, and now and then a post. */
async function visit(pool: ReturnType<Cluster['pool']>, seed: number, work: { readonly ended: boolean }): Promise<void> {
  for (let n = seed; !work.ended; n++) {
    if (n % 60 === 0) await pool.query('insert into posts(title) values ($1)', [`Post ${n}`]).catch(() => undefined);
    await pool.query('select id, title from posts where id = $1', [1 + (n % 1000)]).catch(() => undefined);
    await pause(15);
  }
}
