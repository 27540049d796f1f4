import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type RouteCounts } from '@understudy/client';
import { makeApp } from './app.ts';
import { Blog } from './blog.ts';
import { openDatabase, prepareDatabase } from './database.ts';
import { type Tally, Traffic, type TrafficPlan } from './traffic.ts';

/** Before the first look, so that connections are open and every floor is known. */
const WARM_UP_MS = 1_000;

export interface Run {
  readonly tally: Tally;
  /** Where the statements of that time went. */
  readonly before: RouteCounts;
  readonly after: RouteCounts;
  readonly seconds: number;
}

/** The blog on a cluster, at a level of consistency, and visitors for it. */
export class Door {
  readonly pool: Pool;
  readonly #db: ReturnType<typeof openDatabase>;
  readonly #handle: (request: Request) => Response | Promise<Response>;

  constructor(url: string, consistency: 'strong' | 'session' | 'eventual') {
    this.pool = new Pool({ connectionString: url, consistency, max: 20 });
    this.pool.on('error', () => undefined);
    this.#db = openDatabase(this.pool);
    const app = makeApp(new Blog(this.#db), this.pool);
    this.#handle = request => app.fetch(request);
  }

  prepare(): Promise<void> {
    return prepareDatabase(this.#db);
  }

  visitors(plan: TrafficPlan): Traffic {
    return new Traffic(this.#handle, plan);
  }

  /** What the visitors met while `meanwhile` went on. */
  async run(plan: TrafficPlan, meanwhile: () => Promise<unknown>): Promise<Run> {
    const traffic = this.visitors(plan);
    traffic.start();
    await sleep(WARM_UP_MS);
    traffic.take();
    const [before, start] = [this.pool.routes, performance.now()];
    await meanwhile();
    const [after, seconds] = [this.pool.routes, (performance.now() - start) / 1000];
    const tally = traffic.take();
    await traffic.stop();
    return { tally, before, after, seconds };
  }

  close(): Promise<void> {
    return this.#db.destroy();
  }
}
