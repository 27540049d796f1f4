import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Cell, Measurement, World } from '../lib/cell.ts';
import { CpuMeter } from '../lib/meter.ts';
import type { Peer } from '../peers/peer.ts';
import { addressOf } from './pgbench-cell.ts';

const ROW = `${'x'.repeat(99)}\n`;
const ROWS = 500_000;
const MEGABYTES = (ROW.length * ROWS) / 1e6;
/** Handed to psql at a time. */
const CHUNK = Buffer.from(ROW.repeat(1000));

const OUT = `COPY (SELECT repeat('x', 99) FROM generate_series(1, ${ROWS})) TO STDOUT`;
const IN = 'CREATE TEMP TABLE copied (line text) ON COMMIT DROP; COPY copied FROM STDIN';

export const copy: readonly Cell[] = [
  {
    id: 'copy-out',
    title: 'COPY of 50 MB out',
    unit: 'MB/s',
    better: 'more',
    clients: 1,
    measure: (peer, world) => runCopy('out', peer, world),
  },
  {
    id: 'copy-in',
    title: 'COPY of 50 MB in',
    unit: 'MB/s',
    better: 'more',
    clients: 1,
    measure: (peer, world) => runCopy('in', peer, world),
  },
];

async function runCopy(direction: 'in' | 'out', peer: Peer, world: World): Promise<Measurement> {
  const { host, port, user, database, password } = addressOf(peer, 'write', 'simple');
  const sql = direction === 'in' ? ['-1', '-c', ...IN.split('; ').flatMap((part, i) => (i === 0 ? [part] : ['-c', part]))] : ['-c', OUT];
  const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', host, '-p', String(port), '-U', user, '-d', database, ...sql];
  const startedAt = performance.now();
  const child = spawn('psql', args, {
    env: { ...process.env, PGPASSWORD: password },
    stdio: ['pipe', direction === 'out' ? 'ignore' : 'inherit', 'pipe'],
  });
  let complaint = '';
  child.stderr?.on('data', data => (complaint += data));
  const ended = once(child, 'close');
  const meter = new CpuMeter({ router: peer.pids(), servers: world.postmasters }, []);
  child.stdin?.on('error', () => undefined);
  if (direction === 'in') await feed(child.stdin as NodeJS.WritableStream);
  child.stdin?.end();
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(complaint.trim() || `psql ended with ${code}`);
  const seconds = (performance.now() - startedAt) / 1000;
  const used = meter.used();
  return { value: MEGABYTES / seconds, routerUsPerMB: used.router / MEGABYTES, serverUsPerMB: used.servers / MEGABYTES };
}

async function feed(into: NodeJS.WritableStream): Promise<void> {
  for (let rows = 0; rows < ROWS; rows += 1000) if (!into.write(CHUNK)) await once(into, 'drain');
}
