import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import { ServerConnection } from './connection.ts';
import { handleOf } from './handle.ts';

/** The connections to one server that nobody uses, and the making of new ones. Every client uses one at a time, so clients bound their number. */
export class ServerPool {
  readonly id: string;
  readonly #config: pg.ClientConfig;
  readonly #idleTimeoutMs: number;
  readonly #idle: ServerConnection[] = [];
  readonly #used: Set<ServerConnection> = new Set();
  #sweeper: NodeJS.Timeout | null = null;
  /** Connections from before the last loss are not used again. */
  #generation = 0;
  #ended = false;

  constructor(id: string, config: pg.ClientConfig, idleTimeoutMs: number) {
    this.id = id;
    this.#config = config;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  get size(): number {
    return this.#idle.length + this.#used.size;
  }

  /** An idle connection made under this term or a later one; null when there is none. */
  take(minTerm: number): ServerConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      if (connection.lost || connection.term < minTerm || this.#isOld(connection)) {
        connection.end();
        continue;
      }
      handleOf(connection.client).ref();
      this.#used.add(connection);
      return connection;
    }
  }

  async open(term: number): Promise<ServerConnection> {
    const generation = this.#generation;
    const connection = await ServerConnection.open(this.#config, this.id, term);
    connection.generation = generation;
    if (this.#ended) {
      connection.end();
      throw new Error('the pool was ended');
    }
    this.#used.add(connection);
    return connection;
  }

  giveBack(connection: ServerConnection): void {
    connection.owner = null;
    if (
      !this.#used.delete(connection) ||
      this.#ended ||
      connection.lost ||
      connection.spoiled ||
      this.#isOld(connection) ||
      connection.status !== 'I'
    ) {
      connection.end();
      return;
    }
    connection.idleSinceMs = performance.now();
    // A connection that nobody uses keeps no process alive.
    handleOf(connection.client).unref();
    this.#idle.push(connection);
    if (this.#idleTimeoutMs > 0) this.#sweeper ??= setInterval(() => this.#sweep(), Math.max(100, this.#idleTimeoutMs / 2)).unref();
  }

  /** Cuts every connection that was made before this term: what runs there is lost. */
  cut(minTerm: number): void {
    for (const connection of this.#idle.splice(0)) {
      if (connection.term < minTerm) connection.end();
      else this.#idle.push(connection);
    }
    for (const connection of this.#used) if (connection.term < minTerm) connection.destroy();
  }

  /**
   * The server has ended a connection by itself. When it dies, its processes end one after the other, and a statement given to one that is still there would
   * be lost as well: only a new connection shows that the server is there.
   */
  distrust(): void {
    this.#generation += 1;
    for (const connection of this.#idle.splice(0)) connection.end();
  }

  /** Forgets a connection that its owner has closed or found lost. */
  drop(connection: ServerConnection): void {
    this.#used.delete(connection);
    connection.owner = null;
    if (!connection.lost) connection.end();
  }

  /** Closes the idle ones; those in use are closed when they are given back. */
  async end(): Promise<void> {
    this.#ended = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    const closing = this.#idle.splice(0).map(connection => {
      handleOf(connection.client).ref();
      return connection.client.end();
    });
    await Promise.allSettled(closing);
  }

  #isOld({ generation }: ServerConnection): boolean {
    return generation !== this.#generation;
  }

  #sweep(): void {
    const oldest = performance.now() - this.#idleTimeoutMs;
    const kept = this.#idle.filter(connection => connection.idleSinceMs > oldest);
    for (const connection of this.#idle) if (connection.idleSinceMs <= oldest) connection.end();
    this.#idle.splice(0, this.#idle.length, ...kept);
    if (kept.length > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}
