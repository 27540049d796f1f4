import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { DEFAULT_FAILOVER } from '@understudy/core/cluster';
import { afterEach, describe, expect, it } from 'vitest';
import type { FromProxy, ToProxy } from '../../../src/proxy/messages.ts';
import { DEFAULT_PROXY_OPTIONS } from '../../../src/proxy/options.ts';
import { type BoundAddress, bindHandle } from '../../../src/proxy/workers/bound-handle.ts';
import { WorkerHub } from '../../../src/proxy/workers/hub.ts';
import type { Envelope, Link } from '../../../src/store/link.ts';

/** The supervisor's side of a hub whose threads run worker-program.mjs. */
class Supervised {
  readonly heard: FromProxy[] = [];
  readonly exited: Promise<number>;
  port = 0;
  readonly #toHub = new Set<(message: unknown) => void>();
  readonly #waiting = new Set<() => void>();
  readonly #sockets: Socket[] = [];

  constructor(slots: number, port = 0, listenFd: number | null = null) {
    let exit = (_code: number): void => undefined;
    this.exited = new Promise(resolve => {
      exit = resolve;
    });
    const link: Link = {
      send: message => {
        const { channel, body } = message as Envelope;
        if (channel === 'control') this.heard.push(body as FromProxy);
        for (const wake of this.#waiting) wake();
      },
      onMessage: listener => this.#toHub.add(listener),
      onClose: () => undefined,
    };
    const options = { ...DEFAULT_PROXY_OPTIONS, port, router: { user: 'r', password: 'p', database: 'd' } };
    const begin = { kind: 'begin', options, listenFd, failover: DEFAULT_FAILOVER, viewTtlMs: null, membersDirectory: null } as const;
    void new WorkerHub({ begin, link, slots, program: new URL('./worker-program.mjs', import.meta.url), exit }).start();
  }

  say(body: ToProxy): void {
    for (const listener of this.#toHub) listener({ channel: 'control', body });
  }

  /** The first message of the hub that fits, now or later. */
  async hears<T>(pick: (said: FromProxy) => T | null): Promise<T> {
    for (;;) {
      for (const said of this.heard) {
        const found = pick(said);
        if (found !== null) return found;
      }
      await new Promise<void>(resolve => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  hearsOf(kind: FromProxy['kind']): Promise<FromProxy> {
    return this.hears(said => (said.kind === kind ? said : null));
  }

  hearsWarning(text: string): Promise<true> {
    return this.hears(said => (said.kind === 'event' && said.event.message.includes(text) ? true : null));
  }

  async listening(): Promise<void> {
    this.port = await this.hears(said => (said.kind === 'listening' ? said.port : null));
  }

  /** A client, and the worker that has taken it. */
  async client(): Promise<{ socket: Socket; slot: number }> {
    const socket = connect(this.port, '127.0.0.1');
    socket.on('error', () => undefined);
    this.#sockets.push(socket);
    const [data] = await once(socket, 'data');
    return { socket, slot: Number(String(data)) };
  }

  async clientOf(slot: number): Promise<Socket> {
    for (;;) {
      const client = await this.client();
      if (client.slot === slot) return client.socket;
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.say({ kind: 'stop', drainMs: 0 });
    await this.exited;
  }
}

const tell = async (socket: Socket, what: string): Promise<void> => {
  socket.write(`${what}\n`);
  await once(socket, 'data');
};

describe('the hub of several workers', () => {
  let on: Supervised;
  afterEach(() => on.stop());

  it('listens once for all of them, on one port', async () => {
    on = new Supervised(3);
    await on.listening();
    const slots = new Set<number>();
    while (slots.size < 3) slots.add((await on.client()).slot);
    expect(on.heard.filter(said => said.kind === 'listening')).toHaveLength(1);
  });

  it('listens on a port that it was handed', async () => {
    const handed = bindHandle('127.0.0.1', 0, 4);
    const at: Partial<BoundAddress> = {};
    handed.getsockname(at);
    on = new Supervised(2, 0, handed.fd);
    await on.listening();
    expect(on.port).toBe(at.port);
    await on.clientOf(0);
    await on.clientOf(1);
  });

  it('a worker that dies takes its own clients with it, nobody else, and comes back', async () => {
    on = new Supervised(2);
    await on.listening();
    const [doomed, spared] = [await on.clientOf(0), await on.clientOf(1)];
    const ended = once(doomed, 'close');
    doomed.write('crash\n');
    await ended;
    await on.hearsWarning('Worker 1 of the router ended (a defect)');
    await tell(spared, 'still there');
    // Meanwhile the other one takes all clients; in the end both do again.
    await on.clientOf(1);
    await on.clientOf(0);
    await tell(spared, 'still there');
  });

  it('adds up what workers count, also of those that have died', async () => {
    on = new Supervised(2);
    await on.listening();
    const doomed = await on.clientOf(0);
    await on.clientOf(1);
    const stats = (writes: number, clients: (n: number) => boolean): Promise<true> =>
      on.hears(said => (said.kind === 'stats' && said.stats.writes === writes && clients(said.stats.clients) ? true : null));
    await stats(2, n => n >= 2);
    doomed.write('crash\n');
    await once(doomed, 'close');
    on.heard.splice(0);
    await stats(2, n => n >= 1);
  });

  it('tells that all have drained, when all have', async () => {
    on = new Supervised(2);
    await on.listening();
    const [first, second] = [await on.clientOf(0), await on.clientOf(1)];
    await tell(first, 'drained');
    expect(on.heard.filter(said => said.kind === 'drained')).toEqual([]);
    await tell(second, 'drained');
    await on.hearsOf('drained');
    expect(on.heard.filter(said => said.kind === 'drained')).toHaveLength(1);
  });

  it('a worker that dies while a switchover waits for it is not waited for', async () => {
    on = new Supervised(2);
    await on.listening();
    const [first, second] = [await on.clientOf(0), await on.clientOf(1)];
    await tell(first, 'drained');
    second.write('crash\n');
    await on.hearsOf('drained');
  });

  it('carries questions to the others and all their answers back', async () => {
    on = new Supervised(3);
    await on.listening();
    await tell(await on.clientOf(1), 'ask postgres');
    await on.hearsWarning('answers 0,20');
  });

  it('a worker that dies instead of answering is left out', async () => {
    on = new Supervised(2);
    await on.listening();
    const [asking, silent] = [await on.clientOf(0), await on.clientOf(1)];
    await tell(asking, 'ask silent');
    silent.write('crash\n');
    await on.hearsWarning('answers ');
  });

  it('shares out the limits of connections in new options', async () => {
    on = new Supervised(2);
    await on.listening();
    on.say({ kind: 'reload', options: { ...DEFAULT_PROXY_OPTIONS, poolSize: 9, router: { user: 'r', password: 'p', database: 'd' } } });
    const failed = (message: string): Promise<true> =>
      on.hears(said => (said.kind === 'reload-failed' && said.message === message ? true : null));
    await Promise.all([failed('0: 5'), failed('1: 5')]);
  });

  it('a port that is taken is told, and ends the process', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    on = new Supervised(2, (other.address() as AddressInfo).port);
    expect(await on.hearsOf('failed')).toMatchObject({ message: expect.stringContaining('EADDRINUSE') });
    expect(await on.exited).toBe(1);
    other.close();
  });
});
