import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Cell, Measurement, World } from '../lib/cell.ts';
import type { Peer } from '../peers/peer.ts';
import { addressOf, measurePgbench } from './pgbench-cell.ts';

const RELAY = fileURLToPath(new URL('../lib/relay.ts', import.meta.url));
const CLIENTS = 32;

/**
 * The way from the clients is so much longer, there and back together. Not made with netem: on the loopback device that would delay every hop, and
 * many kernels of containers and small machines do not have it.
 */
export const delay: readonly Cell[] = [0.5, 2].map(delayMs => ({
  id: `delay-${delayMs}`,
  title: `point reads, extended, ${CLIENTS} clients ${delayMs} ms away`,
  unit: 'tps',
  better: 'more',
  clients: CLIENTS,
  measure: (peer, world) => measureDelayed(delayMs, peer, world),
}));

async function measureDelayed(delayMs: number, peer: Peer, world: World): Promise<Measurement> {
  const to = addressOf(peer, 'read', 'extended');
  const relay = spawn(process.execPath, ['--import', 'tsx', RELAY, String(to.port), String(delayMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [told] = (await once(relay.stdout, 'data')) as [Buffer];
    const load = { mode: 'extended', clients: CLIENTS, work: 'read', args: ['-S'] } as const;
    return await measurePgbench(load, peer, world, { ...to, port: Number(told.toString()) });
  } finally {
    relay.kill();
  }
}
