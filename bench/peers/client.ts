import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Measurement } from '../lib/cell.ts';
import type { Endpoint, Peer, PeerSetting } from './peer.ts';

const LOAD = fileURLToPath(new URL('./client-load.ts', import.meta.url));

/** The in-process client on the same servers: no router stands between, but the load is a Node process and not pgbench. */
export function startClient(setting: PeerSetting): Promise<Peer> {
  return Promise.resolve({
    name: 'client',
    version: 'this checkout',
    endpoint: () => ({ cannot: 'it is no address; measured on point reads' }),
    pointReads: (clients, seconds) => pointReads([setting.primary, ...setting.replicas], clients, seconds),
    pids: () => [],
    stop: () => Promise.resolve(),
  });
}

async function pointReads(servers: readonly Endpoint[], clients: number, seconds: number): Promise<Measurement> {
  const [first] = servers;
  if (first === undefined) throw new Error('there is no server');
  const hosts = servers.map(({ host, port }) => `${host}:${port}`).join(',');
  const url = `postgres://${first.user}:${encodeURIComponent(first.password)}@${hosts}/${first.database}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=source', LOAD, url, String(clients), String(seconds)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  let complaint = '';
  child.stdout.on('data', data => (told += data));
  child.stderr.on('data', data => (complaint += data));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(complaint.trim() || `the load ended with ${code}`);
  return JSON.parse(told) as Measurement;
}
