import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { UnderstudyError } from '@understudy/core/cluster';
import type { Hono } from 'hono';

export interface ApiServer {
  readonly host: string;
  /** The port that was really taken, also when 0 was asked for. */
  readonly port: number;
  /** Takes no more requests, ends event streams, and resolves when the port is free. */
  close(): Promise<void>;
}

/** Answers under way get this long when the server closes; event streams never end by themselves. */
const CLOSE_GRACE_MS = 500;

/** Puts the API on a port. Throws `port-taken`. */
export async function serveApi(app: Hono, address: { readonly host: string; readonly port: number }): Promise<ApiServer> {
  // The name stands in for the Host header that health checks of HTTP/1.0 do not send.
  const server = createAdaptorServer({ fetch: app.fetch, hostname: 'localhost' }) as Server;
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  server.maxConnections = 1000;
  await listen(server, address);
  return { host: address.host, port: (server.address() as AddressInfo).port, close: () => close(server) };
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error => {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      reject(taken ? new UnderstudyError('port-taken', { port, host, flag: '--http-port' }, { cause: error }) : error);
    });
    server.listen(port, host, () => resolve());
  });
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const force = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
