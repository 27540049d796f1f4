import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { TLSSocket } from 'node:tls';
import type { RouterTraffic } from '@understudy/core/routing';
import type { BackendKey } from '@understudy/wire';
import type { ClientFacts } from './admin-tables.ts';
import type { ProxyFailure } from './errors.ts';
import type { Session } from './session.ts';
import type { Place } from './workers/place.ts';

/** One client that has logged in. */
export interface Client {
  readonly key: BackendKey;
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  readonly socket: Socket;
  readonly connectedAtMs: number;
  /** Null for a replication connection. */
  readonly session: Session | null;
  readonly end: (failure: ProxyFailure) => void;
}

/** The clients of one worker, by the keys with which they may be cancelled. A key tells which worker has given it out. */
export class Clients {
  readonly #clients = new Map<number, Client>();
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Clients of all workers. */
  get total(): number {
    return this.#place.clients.total;
  }

  add(client: Client): void {
    this.#clients.set(client.key.processId, client);
    this.#place.clients.set(this.#place.slot, this.#clients.size);
  }

  remove(key: BackendKey): void {
    this.#clients.delete(key.processId);
    this.#place.clients.set(this.#place.slot, this.#clients.size);
  }

  endAll(failure: ProxyFailure): void {
    for (const client of this.#clients.values()) client.end(failure);
  }

  /** Ends those that rest: no statement is under way or waits, and no transaction is open. */
  endResting(failure: ProxyFailure): void {
    for (const client of this.#clients.values()) if (client.session?.activity === 'idle') client.end(failure);
  }

  *sessions(): IterableIterator<Session> {
    for (const { session } of this.#clients.values()) if (session !== null) yield session;
  }

  /** Of this worker. */
  countOfRole(user: string): number {
    let count = 0;
    for (const client of this.#clients.values()) if (client.user === user) count += 1;
    return count;
  }

  /** Of all workers. */
  async totalOfRole(user: string): Promise<number> {
    const answers = await this.#place.ask({ kind: 'role', user });
    return answers.reduce((sum, answer) => sum + (answer.kind === 'role' ? answer.clients : 0), this.countOfRole(user));
  }

  /** Protocol 3.2 has room for a key that cannot be guessed; 3.0 has four bytes. */
  newKey(minor: number): BackendKey {
    const { slot, slots } = this.#place;
    const draw = (): number => randomInt(1, Math.floor(0x7fffffff / slots)) * slots + slot;
    let processId = draw();
    while (this.#clients.has(processId)) processId = draw();
    return { processId, secret: randomBytes(minor >= 2 ? 32 : 4) };
  }

  /** Ends what the client with this key runs, whichever worker has it. */
  async cancel(key: BackendKey): Promise<void> {
    const owner = key.processId % this.#place.slots;
    if (owner === this.#place.slot) return this.cancelOwn(key);
    await this.#place.ask({ kind: 'cancel', key }, owner);
  }

  async cancelOwn({ processId, secret }: BackendKey): Promise<void> {
    const client = this.#clients.get(processId);
    if (client === undefined || client.key.secret.length !== secret.length) return;
    if (timingSafeEqual(client.key.secret, secret)) await client.session?.cancel();
  }

  /** How many of this worker's clients do what. A replication connection counts as active. */
  activities(): RouterTraffic['sessions'] {
    const count = { active: 0, idle: 0, inTransaction: 0, pinned: 0 };
    for (const { session } of this.#clients.values()) {
      const activity = session?.activity ?? 'active';
      count[activity === 'in-transaction' ? 'inTransaction' : activity] += 1;
      if (session?.pinned) count.pinned += 1;
    }
    return count;
  }

  *facts(): IterableIterator<ClientFacts> {
    const worker = this.#place.slot + 1;
    for (const { user, database, applicationName, socket, connectedAtMs, session } of this.#clients.values()) {
      const connectedMs = performance.now() - connectedAtMs;
      const from = `${socket.remoteAddress}:${socket.remotePort}`;
      const [state, lastRoute] = session === null ? (['replication', ''] as const) : ([session.activity, session.lastRoute] as const);
      yield { user, database, applicationName, from, tls: socket instanceof TLSSocket, connectedMs, state, lastRoute, worker };
    }
  }
}
