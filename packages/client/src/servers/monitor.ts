import type { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import { type Address, ASK_IDENTITY, ASK_ROLE, readRole, type RoleAndPosition } from '@understudy/core/routing';
import { ASK_FUNCTIONS, type FunctionRow, readFunctions } from '@understudy/core/sql';
import pg from 'pg';
import { handleOf } from './handle.ts';
import { connectionConfig } from '../config.ts';

const RECONNECT_MS = 100;
/** A server that hangs must not hang those who wait for its answer. */
const ANSWER_TIMEOUT_MS = 5_000;

/** What a server is, and where it stands. */
export interface Answer extends RoleAndPosition {
  /** Null when it will not say. */
  readonly systemIdentifier: string | null;
}

/** One connection to one server, for positions; reconnects by itself when it is asked. `onNews`: its role may have changed. */
export class Monitor {
  readonly address: Address;
  readonly #config: pg.ClientConfig;
  readonly #onNews: () => void;
  #client: pg.Client | null = null;
  #opening: Promise<pg.Client> | null = null;
  #closedAtMs = Number.NEGATIVE_INFINITY;
  #systemIdentifier: string | null = null;
  #ended = false;

  constructor(base: pg.ClientConfig, address: Address, onNews: () => void) {
    this.address = address;
    this.#onNews = onNews;
    const connectionTimeoutMillis = base.connectionTimeoutMillis || ANSWER_TIMEOUT_MS;
    this.#config = {
      ...connectionConfig(base, address),
      application_name: 'understudy client',
      connectionTimeoutMillis,
      query_timeout: ANSWER_TIMEOUT_MS,
      statement_timeout: false,
    };
  }

  /** Where the server stands now. Rejects when it cannot be reached or does not answer in time. */
  async ask(): Promise<Answer> {
    const client = this.#client ?? (await this.#open());
    try {
      const answer = readRole(await firstRow(client, ASK_ROLE));
      if (answer === null) throw new Error('it has replayed nothing yet');
      return { ...answer, systemIdentifier: this.#systemIdentifier };
    } catch (error) {
      this.#close(client);
      throw error;
    }
  }

  /** The database's own functions. */
  async functions(): Promise<readonly FunctionRow[]> {
    const client = this.#client ?? (await this.#open());
    const [json] = await firstRow(client, ASK_FUNCTIONS);
    return readFunctions(json);
  }

  async end(): Promise<void> {
    this.#ended = true;
    const client = this.#client;
    this.#client = null;
    if (client === null) return;
    handleOf(client).ref();
    await client.end().catch(() => undefined);
  }

  #open(): Promise<pg.Client> {
    if (this.#ended) return Promise.reject(new Error('the monitor has ended'));
    if (performance.now() - this.#closedAtMs < RECONNECT_MS) return Promise.reject(new Error('it could not be reached a moment ago'));
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client(this.#config);
    client.on('error', () => this.#lose(client));
    client.on('end', () => this.#lose(client));
    try {
      await client.connect();
      // It is no reason for a process to live on.
      handleOf(client).unref();
      this.#systemIdentifier ??= await identityOf(client);
    } catch (error) {
      this.#closedAtMs = performance.now();
      void client.end().catch(() => undefined);
      throw error;
    }
    // Reported at once by PostgreSQL 14 and later when the server is promoted.
    (client as unknown as { connection: EventEmitter }).connection.on('parameterStatus', (message: { parameterName: string }) => {
      if (message.parameterName === 'in_hot_standby') this.#onNews();
    });
    if (this.#ended) void client.end().catch(() => undefined);
    else this.#client = client;
    return client;
  }

  #lose(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    this.#onNews();
  }

  #close(client: pg.Client): void {
    if (this.#client === client) this.#client = null;
    void client.end().catch(() => undefined);
  }
}

/** As text, whatever the application has done to pg's parsers of types. */
async function firstRow(client: pg.Client, text: string): Promise<(string | null)[]> {
  const { rows } = await client.query({ text, rowMode: 'array', types: AS_TEXT as never });
  return (rows[0] ?? []) as (string | null)[];
}

const AS_TEXT = { getTypeParser: () => (value: string) => value };

/** Null where the role may not ask: tokens then say nothing of the cluster they belong to. */
async function identityOf(client: pg.Client): Promise<string | null> {
  try {
    return (await firstRow(client, ASK_IDENTITY))[0] ?? null;
  } catch {
    return null;
  }
}
