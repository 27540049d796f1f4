import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_PROXY_OPTIONS } from '../../src/proxy/options.ts';
import { Secrets } from '../../src/proxy/secrets.ts';
import type { ServerAddress } from '../../src/proxy/server-connection.ts';

const ROUTER = { user: 'understudy_router', password: 'secret', database: 'postgres' };

/** It takes connections and says nothing, as a machine does that has just vanished behind a network that keeps trying. */
class SilentServer {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  private constructor() {
    this.#server = createServer(socket => this.#sockets.push(socket));
  }

  static async start(): Promise<SilentServer> {
    const silent = new SilentServer();
    silent.#server.listen(0, '127.0.0.1');
    await once(silent.#server, 'listening');
    return silent;
  }

  get address(): ServerAddress {
    const { port } = this.#server.address() as { port: number };
    return { host: '127.0.0.1', port };
  }

  get connected(): Promise<unknown> {
    return this.#sockets.length > 0 ? Promise.resolve() : once(this.#server, 'connection');
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describe('secrets of roles', () => {
  const servers: SilentServer[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('a login that waits for a lost primary goes to the next server as soon as there is a new term', async () => {
    servers.push(await SilentServer.start(), await SilentServer.start());
    const [lost, next] = servers as [SilentServer, SilentServer];
    const options = { ...DEFAULT_PROXY_OPTIONS, router: ROUTER, connectTimeoutMs: 3_600_000 };
    const secrets = new Secrets(options, () => [lost.address, next.address]);
    const asked = secrets.secretOf('anna');
    await lost.connected;
    secrets.onTerm(1);
    await next.connected;
    secrets.onTerm(2);
    await expect(asked).rejects.toThrow('the topology has changed');
  });
});
