import { CpuMeter } from '../lib/meter.ts';
import type { Cell, Measurement, World } from '../lib/cell.ts';
import { pgbench, type QueryMode, threadsFor } from '../lib/pgbench.ts';
import type { Endpoint, Peer, Work } from '../peers/peer.ts';

export interface PgbenchWork {
  readonly mode: QueryMode;
  readonly clients: number;
  readonly work: Work;
  readonly args: readonly string[];
  /** Bytes of result for each transaction, for those that are measured in MB/s. */
  readonly resultBytes?: number;
}

/** A cell whose load is pgbench. */
export function pgbenchCell(cell: Omit<Cell, 'measure' | 'better' | 'clients' | 'unit'> & { unit?: string }, work: PgbenchWork): Cell {
  return { unit: 'tps', ...cell, better: 'more', clients: work.clients, measure: (peer, world) => measurePgbench(work, peer, world) };
}

/** The address of a peer, or an error that says why it has none. */
export function addressOf(peer: Peer, work: Work, mode: QueryMode): Endpoint {
  const endpoint = peer.endpoint(work, mode);
  if ('cannot' in endpoint) throw new Error(endpoint.cannot);
  return endpoint;
}

/** Throughput, latency, and the CPU of each side for one transaction between the first and the last second that pgbench reports. */
export async function measurePgbench(load: PgbenchWork, peer: Peer, world: World, to?: Endpoint): Promise<Measurement> {
  const { mode, clients, work, args, resultBytes } = load;
  let meter: CpuMeter | null = null;
  let from = 0;
  let done = 0;
  let at = 0;
  let used = { router: 0, servers: 0, load: 0 };
  const meters = { router: peer.pids(), servers: world.postmasters };
  const target = to ?? addressOf(peer, work, mode);
  const outcome = await pgbench({ to: target, mode, clients, seconds: world.seconds, work: args }, (progress, pid) => {
    if (meter === null) {
      meter = new CpuMeter(meters, [pid]);
      from = progress.atSeconds;
    } else {
      used = meter.used();
      done += progress.tps * (progress.atSeconds - at);
    }
    at = progress.atSeconds;
  });
  // A run that reported only once has no span to measure over: it says nothing of CPU, rather than that there was none.
  const cpu =
    done === 0
      ? {}
      : {
          routerUs: used.router / done,
          serverUs: used.servers / done,
          loadUs: used.load / done,
          // Near 1, pgbench itself is what limits the run.
          loadBusy: used.load / ((at - from) * 1e6 * threadsFor(clients)),
        };
  return {
    value: resultBytes === undefined ? outcome.tps : (outcome.tps * resultBytes) / 1e6,
    p50Ms: outcome.p50Ms,
    p99Ms: outcome.p99Ms,
    ...cpu,
    failed: outcome.failed,
  };
}
