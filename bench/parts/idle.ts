import { connect, type Socket } from 'node:net';
import { FrameScanner, startupMessage } from '@understudy/wire';
import { ServerLogin } from '../../packages/server/src/proxy/server-login.ts';
import type { Cell, Measurement, World } from '../lib/cell.ts';
import { memoryBytes } from '../lib/process-times.ts';
import type { Endpoint, Peer } from '../peers/peer.ts';
import { addressOf } from './pgbench-cell.ts';

const CLIENTS = 10_000;
/** For those that have a process for each client: enough to tell the memory of one. */
const FEW_CLIENTS = 400;
/** Logins under way at a time. */
const AT_ONCE = 32;

/** Memory of clients that are connected and do nothing. */
export const idle: readonly Cell[] = [
  {
    id: 'idle-10000',
    title: `memory for each of ${CLIENTS.toLocaleString('en')} idle clients (${FEW_CLIENTS} where each has a process)`,
    unit: 'KiB',
    better: 'less',
    clients: FEW_CLIENTS,
    maxRounds: 1,
    measure: measureIdle,
  },
];

async function measureIdle(peer: Peer, world: World): Promise<Measurement> {
  const count = ['direct', 'pgpool', 'haproxy'].includes(peer.name) ? FEW_CLIENTS : CLIENTS;
  const to = addressOf(peer, 'read', 'simple');
  const before = { router: memoryBytes(peer.pids()), servers: memoryBytes(world.postmasters) };
  const startedAt = performance.now();
  const sockets: Socket[] = [];
  try {
    await openAll(to, count, sockets);
    const seconds = (performance.now() - startedAt) / 1000;
    await new Promise(resolve => setTimeout(resolve, 3000));
    const router = (memoryBytes(peer.pids()) - before.router) / count / 1024;
    const servers = (memoryBytes(world.postmasters) - before.servers) / count / 1024;
    return { value: router + servers, routerKiB: router, serverKiB: servers, clients: sockets.length, loginsPerSecond: count / seconds };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function openAll(to: Endpoint, count: number, sockets: Socket[]): Promise<void> {
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      sockets.push(await login(to));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function login({ host, port, user, password, database }: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const exchange = new ServerLogin({ kind: 'password', password });
    const onFrame = (type: number, chunk: Buffer, start: number, end: number): void => {
      const step = exchange.take(type, chunk.subarray(start, end));
      if (step.kind === 'send') socket.write(step.bytes);
      else if (step.kind === 'ready') resolve(socket);
    };
    const scanner = new FrameScanner(
      { onFrame, onPart: () => undefined },
      { streamed: new Set(), streamedFromBytes: 0, maxAssembledBytes: 1 << 20 },
    );
    socket.on('data', chunk => {
      try {
        scanner.push(chunk as Buffer);
      } catch (error) {
        reject(error as Error);
        socket.destroy();
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection was closed during its login')));
    socket.write(
      startupMessage(
        new Map([
          ['user', user],
          ['database', database],
        ]),
      ),
    );
  });
}
