/**
 * npm run blog -- [--data ./blog-data] [--port 3000] [--visitors 40] [--consistency strong|session|eventual] [--seconds N]
 *
 * Starts a cluster, the blog on it and its visitors; says once a second how it goes. In a terminal: v doubles the traffic, c halves it, r adds a replica, k kills the
 * primary, q ends; /lab has the same as buttons. With --seconds it ends by itself.
 */
import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import { Pool } from '@understudy/client';
import { makeApp } from './app.ts';
import { Blog } from './blog.ts';
import { BlogCluster } from './cluster.ts';
import { openDatabase, prepareDatabase } from './database.ts';
import { liveLine, perServer } from './live.ts';
import { labPage } from './pages.ts';
import { Traffic } from './traffic.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: './blog-data' },
    port: { type: 'string', default: '3000' },
    visitors: { type: 'string', default: '40' },
    consistency: { type: 'string', default: 'strong' },
    seconds: { type: 'string' },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const cluster = new BlogCluster(values.data);
  say('starting the cluster…');
  await cluster.up(2);
  const pool = new Pool({ connectionString: cluster.clientUrl, consistency: values.consistency as 'strong', max: 20 });
  pool.on('error', () => undefined);
  let primary = '';
  pool.on('route', ({ role, server }) => {
    if (role === 'primary') primary = server;
  });
  const db = openDatabase(pool);
  await prepareDatabase(db);

  const app = makeApp(new Blog(db), pool);
  const traffic = new Traffic(request => app.fetch(request), {
    visitors: Number(values.visitors),
    thinkMs: 100,
    readsPerWrite: 100,
    cookies: true,
  });
  const switches = switchesOf(cluster, traffic);
  let line = 'the first second…';
  app.get('/lab', c => c.html(labPage()));
  app.get('/lab/line', c => c.text(line));
  for (const [name, flip] of Object.entries(switches)) {
    app.post(`/lab/${name}`, c => {
      flip();
      return c.body(null, 204);
    });
  }
  const server = serve({ fetch: app.fetch, port: Number(values.port), hostname: '127.0.0.1' });
  say(`the blog: http://127.0.0.1:${values.port}  (its traffic: /lab)`);

  traffic.start();
  let before = pool.routes;
  let at = performance.now();
  const ticking = setInterval(() => {
    const seconds = (performance.now() - at) / 1000;
    at = performance.now();
    const now = pool.routes;
    line = liveLine(traffic.visitors, traffic.take(), perServer(before, now, seconds), seconds, primary);
    before = now;
    say(line);
  }, 1000);

  await ended(switches);
  clearInterval(ticking);
  await traffic.stop();
  server.close();
  await db.destroy();
  await cluster.down();
}

const MAX_VISITORS = 2_000;

/** What can be done to the blog while it runs. Each returns at once, and says what it does. */
interface Switches {
  readonly viral: () => void;
  readonly calm: () => void;
  readonly replica: () => void;
  readonly kill: () => void;
}

function switchesOf(cluster: BlogCluster, traffic: Traffic): Switches {
  const times = (factor: number): number => {
    traffic.change({ visitors: Math.min(MAX_VISITORS, Math.max(1, Math.round(traffic.visitors * factor))) });
    return traffic.visitors;
  };
  const tell = (begun: string, work: Promise<string>): void => {
    say(begun);
    work.then(say, (error: Error) => say(error.message));
  };
  return {
    viral: () => say(`viral: ${times(2)} visitors`),
    calm: () => say(`calm: ${times(0.5)} visitors`),
    replica: () =>
      tell(
        'adding a replica…',
        cluster.addReplica().then(() => 'a replica more'),
      ),
    kill: () =>
      tell(
        'killing the primary…',
        cluster.killPrimary().then(id => `killed ${id}`),
      ),
  };
}

/** Until somebody wants it to end. */
function ended(switches: Switches): Promise<void> {
  return new Promise(resolve => {
    if (values.seconds !== undefined) setTimeout(resolve, Number(values.seconds) * 1000);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    if (!process.stdin.isTTY) return;
    say('v go viral · c calm down · r add a replica · k kill the primary · q end');
    const keys: Readonly<Record<string, () => void>> = { v: switches.viral, c: switches.calm, r: switches.replica, k: switches.kill };
    process.stdin.setRawMode(true).on('data', (key: Buffer) => {
      const name = key.toString();
      if (key[0] === 3 || name === 'q') {
        process.stdin.setRawMode(false).pause();
        say('ending…');
        resolve();
      } else keys[name]?.();
    });
  });
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
