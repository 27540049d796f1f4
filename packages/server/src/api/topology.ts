import { formatLsn } from '@understudy/core/cluster';
import type { Topology } from '@understudy/core/routing';
import type { Context, Hono } from 'hono';
import type { ClusterFacade } from './facade.ts';
import type { TopologyAnswer } from './types.ts';

/** How often the topology is looked at while somebody waits for its next change. */
const LOOK_MS = 20;
const WAIT_LIMIT_MS = 30_000;

/** GET /topology: who may be sent what, as routers in applications follow it. With `after` and `wait` it answers at the next change. */
export function addTopology(app: Hono, facade: ClusterFacade): void {
  const watch = new TopologyWatch(() => facade.topology());
  app.get('/topology', async c => {
    const after = c.req.query('after');
    const waitMs = Math.min(Number(c.req.query('wait') ?? 0) || 0, WAIT_LIMIT_MS);
    if (after !== undefined && after === watch.look() && waitMs > 0) await watch.change(after, waitMs, c.req.raw.signal);
    return answer(c, watch);
  });
}

function answer(c: Context, watch: TopologyWatch): Response {
  const version = watch.look();
  return c.json({ version, topology: JSON.parse(version) } satisfies TopologyAnswer);
}

/** The topology in its wire form is its own version. One timer looks for all who wait. */
class TopologyWatch {
  readonly #topology: () => Topology;
  readonly #waiting: Set<(version: string) => void> = new Set();
  #timer: NodeJS.Timeout | null = null;

  constructor(topology: () => Topology) {
    this.#topology = topology;
  }

  look(): string {
    const { primary, history, ...rest } = this.#topology();
    const shown = primary.kind === 'draining' ? { kind: primary.kind, server: primary.server, drainUntilMs: 0 } : primary;
    return JSON.stringify({
      ...rest,
      primary: shown,
      history: history.map(({ timeline, endLsn }) => ({ timeline, endLsn: formatLsn(endLsn) })),
    });
  }

  /** Resolves when the version is another one, the time is up, or the client is gone. */
  change(version: string, limitMs: number, gone: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        gone.removeEventListener('abort', done);
        this.#waiting.delete(check);
        resolve();
      };
      const check = (now: string): void => {
        if (now !== version) done();
      };
      const timer = setTimeout(done, limitMs);
      gone.addEventListener('abort', done);
      this.#waiting.add(check);
      this.#timer ??= setInterval(() => this.#tell(), LOOK_MS);
    });
  }

  #tell(): void {
    if (this.#waiting.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      return;
    }
    const now = this.look();
    for (const check of this.#waiting) check(now);
  }
}
