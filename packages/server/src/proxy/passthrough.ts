import { connect, type Socket } from 'node:net';
import { FrameScanner, type ScramCredential, startupMessage } from '@understudy/wire';
import { ServerLogin } from './server-login.ts';
import type { ServerAddress } from './server-connection.ts';
import { secureServer, type ServerTls } from './server-tls.ts';

/**
 * A replication connection (pg_basebackup, logical subscribers): logged in to the primary, then bytes both ways untouched. Such a
 * connection speaks commands and a COPY in both directions that no router may reorder; it ends with the primary.
 * Resolves when both sides are joined; rejects with LoginRefused or the socket's error.
 */
export async function joinToPrimary(request: {
  readonly client: Socket;
  readonly early: Buffer;
  readonly server: ServerAddress;
  readonly parameters: ReadonlyMap<string, string>;
  readonly credential: ScramCredential;
  /** Null: in the clear. */
  readonly tls: ServerTls | null;
  readonly timeoutMs: number;
}): Promise<Socket> {
  const raw = connect({ host: request.server.host, port: request.server.port, noDelay: true, keepAlive: true });
  const login = new ServerLogin(request.credential);
  const timer = setTimeout(() => raw.destroy(new Error('the server did not answer the login in time')), request.timeoutMs);
  // Everything after the authentication is the client's: settings, key, ReadyForQuery. The key is the server's own.
  const forClient: Buffer[] = [];
  let server: Socket = raw;
  try {
    if (request.tls !== null) server = await secureServer(raw, request.tls);
    await new Promise<void>((resolve, reject) => {
      const scanner = new FrameScanner(
        {
          onFrame: (type, chunk, start, end) => {
            const frame = chunk.subarray(start, end);
            const step = login.take(type, frame);
            if (step.kind === 'send') server.write(step.bytes);
            if (type !== AUTHENTICATION) forClient.push(frame);
            if (step.kind === 'ready') resolve();
          },
          onPart: () => undefined,
        },
        { streamed: new Set(), streamedFromBytes: 0, maxAssembledBytes: 1024 * 1024 },
      );
      server.on('data', chunk => {
        try {
          scanner.push(chunk as Buffer);
        } catch (error) {
          reject(error as Error);
        }
      });
      server.once('error', reject);
      server.once('close', () => reject(new Error('the server closed the connection')));
      server.write(startupMessage(request.parameters));
    });
  } catch (error) {
    raw.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  server.removeAllListeners('data');
  server.removeAllListeners('error');
  server.removeAllListeners('close');
  join(request.client, server);
  request.client.write(Buffer.concat(forClient));
  if (request.early.length > 0) server.write(request.early);
  return server;
}

const AUTHENTICATION = 0x52;

/** Pipes with back-pressure both ways; the end of one is the end of the other. */
function join(client: Socket, server: Socket): void {
  client.pipe(server);
  server.pipe(client);
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on('error', () => one.destroy());
    one.on('close', () => other.destroy());
  }
}
