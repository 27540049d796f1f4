/**
 * A TCP relay that delays what passes through it, as a network would: `relay.ts TARGET_PORT DELAY_MS`, each direction by half of it. It tells its port
 * on its first line. A program of its own, so that its work is not that of the bench.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

interface Parcel {
  readonly dueMs: number;
  readonly to: Socket;
  readonly bytes: Buffer | null;
}

/** Timers of Node are whole milliseconds; shorter waits are slept through in steps of this. */
const STEP_MS = 0.1;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const [target, delay] = process.argv.slice(2).map(Number) as [number, number];
const parcels: Parcel[] = [];
let first = 0;
let delivering = false;

function send(to: Socket, bytes: Buffer | null): void {
  parcels.push({ dueMs: performance.now() + delay / 2, to, bytes });
  if (delivering) return;
  delivering = true;
  setImmediate(deliver);
}

/** Delivers what is due, in the order of its arrival. */
function deliver(): void {
  const now = performance.now();
  let next = parcels[first];
  while (next !== undefined && next.dueMs <= now) {
    if (next.bytes === null) next.to.end();
    else next.to.write(next.bytes);
    first += 1;
    next = parcels[first];
  }
  if (next === undefined) {
    parcels.length = 0;
    first = 0;
    delivering = false;
    return;
  }
  if (first > 1024) {
    parcels.splice(0, first);
    first = 0;
  }
  const left = next.dueMs - performance.now();
  if (left > 2) {
    setTimeout(deliver, Math.floor(left) - 1);
    return;
  }
  if (left > 0) Atomics.wait(sleeper, 0, 0, Math.min(left, STEP_MS));
  setImmediate(deliver);
}

function join(from: Socket, to: Socket): void {
  from.on('data', bytes => send(to, bytes as Buffer));
  from.on('end', () => send(to, null));
  from.on('error', () => to.destroy());
  from.on('close', () => send(to, null));
}

const server = createServer({ noDelay: true }, client => {
  const upstream = connect({ host: '127.0.0.1', port: target, noDelay: true });
  join(client, upstream);
  join(upstream, client);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
