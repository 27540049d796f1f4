import type { Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { UnderstudyError } from '@understudy/core/cluster';
import type { Hono } from 'hono';

/** A certificate and its private key, in PEM. */
export interface ApiTls {
  readonly cert: string;
  readonly key: string;
}

export interface ApiServer {
  readonly host: string;
  /** The port that was really taken, also when 0 was asked for. */
  readonly port: number;
  /** Shows another certificate from now on. Throws when it is none; does nothing where the API is plain HTTP. */
  useTls(tls: ApiTls): void;
  /** Takes no more requests, ends event streams, and resolves when the port is free. */
  close(): Promise<void>;
}

/** Answers under way get this long when the server closes; event streams never end by themselves. */
const CLOSE_GRACE_MS = 500;

/** Puts the API on a port, as HTTPS with this certificate; null: plain HTTP. Throws `port-taken`. */
export async function serveApi(
  app: Hono,
  address: { readonly host: string; readonly port: number },
  tls: ApiTls | null = null,
): Promise<ApiServer> {
  // The name stands in for the Host header that health checks of HTTP/1.0 do not send.
  const common = { fetch: app.fetch, hostname: 'localhost' };
  const server = createAdaptorServer(tls === null ? common : { ...common, createServer: createTlsServer, serverOptions: { ...tls } }) as
    | Server
    | TlsServer;
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  server.maxConnections = 1000;
  await listen(server, address);
  return {
    host: address.host,
    port: (server.address() as AddressInfo).port,
    useTls: next => {
      if ('setSecureContext' in server) server.setSecureContext({ ...next });
    },
    close: () => close(server),
  };
}

function listen(server: Server | TlsServer, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error => {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      reject(taken ? new UnderstudyError('port-taken', { port, host, flag: '--http-port' }, { cause: error }) : error);
    });
    server.listen(port, host, () => resolve());
  });
}

function close(server: Server | TlsServer): Promise<void> {
  return new Promise(resolve => {
    const force = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
