import pg from 'pg';
import type { Append, ListRead, Outcome } from './checker.ts';

/** Lists that are appended to at the same time. */
const KEYS = 8;
/**
 * After so many appends each writer goes on to other lists: every read keeps the whole list that it saw, so the memory of a long run grows with their
 * length.
 */
const ERA_APPENDS = 1000;
const ERAS = 1000;

export interface Strength {
  readonly writers: number;
  readonly readers: number;
  /** Writers that go past the router to the primary that they know, and look for another only when that one fails them. */
  readonly direct: number;
}

/** Appends to lists through the endpoint, and reads of whole lists on other connections; all of it recorded. */
export class Workload {
  readonly appends: Append[] = [];
  readonly reads: ListRead[] = [];
  /** Errors that no client should ever see, by SQLSTATE and words. */
  readonly surprises: string[] = [];
  readonly #url: string;
  readonly #primaryUrl: () => Promise<string>;
  readonly #running: Promise<void>[] = [];
  #stopped = false;
  /** Of the lists that the quickest writer is at, which are those that are read. */
  #firstKey = 0;

  constructor(url: string, primaryUrl: () => Promise<string>) {
    this.#url = url;
    this.#primaryUrl = primaryUrl;
  }

  async prepare(): Promise<void> {
    const client = await this.#connect();
    await client.query('create table lists(key int primary key, items text[] not null)');
    await client.query(`insert into lists select k, '{}' from generate_series(0, ${KEYS * ERAS - 1}) k`);
    await client.end();
  }

  start({ writers, readers, direct }: Strength): void {
    for (let id = 1; id <= writers; id++) this.#running.push(this.#write(id));
    for (let id = 1; id <= readers; id++) this.#running.push(this.#read(id));
    for (let id = writers + 1; id <= writers + direct; id++) this.#running.push(this.#writeDirectly(id));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.#url });
    client.on('error', error => this.surprises.push(`connection lost: ${error.message}`));
    await client.connect();
    return client;
  }

  async #write(writer: number): Promise<void> {
    let client = await this.#connect();
    let isLost = false;
    client.on('error', () => (isLost = true));
    for (let n = 1; !this.#stopped; n++) {
      // No client should lose its connection, which is a surprise by then; one that has must not ask for nothing without end.
      if (isLost) {
        isLost = false;
        client = await this.#connect();
        client.on('error', () => (isLost = true));
      }
      const [key, item, sentAtMs] = [this.#keyFor(writer, n), `${writer}:${n}`, performance.now()];
      const outcome = await client.query('update lists set items = items || $1::text where key = $2', [item, key]).then(
        () => 'acknowledged' as const,
        (error: Error & { code?: string }) => this.#outcomeOf(error),
      );
      this.appends.push({ key, item, sentAtMs, endedAtMs: performance.now(), outcome });
    }
    await client.end();
  }

  /** Whatever error it gets, the outcome is unknown to it; what it was told to be committed has to stay. */
  async #writeDirectly(writer: number): Promise<void> {
    let client: pg.Client | null = null;
    for (let n = 1; !this.#stopped; n++) {
      const [key, item, sentAtMs] = [this.#keyFor(writer, n), `${writer}:${n}`, performance.now()];
      try {
        client ??= await connectDirectly(await this.#primaryUrl());
        await client.query('update lists set items = items || $1::text where key = $2', [item, key]);
        this.appends.push({ key, item, sentAtMs, endedAtMs: performance.now(), outcome: 'acknowledged' });
      } catch {
        this.appends.push({ key, item, sentAtMs, endedAtMs: performance.now(), outcome: 'unknown' });
        client?.end().catch(() => undefined);
        client = null;
      }
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    await client?.end().catch(() => undefined);
  }

  #keyFor(writer: number, n: number): number {
    const firstKey = KEYS * (Math.floor(n / ERA_APPENDS) % ERAS);
    this.#firstKey = Math.max(this.#firstKey, firstKey);
    return firstKey + ((writer + n) % KEYS);
  }

  #outcomeOf(error: Error & { code?: string }): Outcome {
    // A full disk is one of the faults; the statement that met it has done nothing.
    if (error.code === '57P01' || error.code === '53100') return 'rolled-back';
    if (error.code !== '08007') this.surprises.push(`${error.code ?? 'no code'} ${error.message}`);
    return 'unknown';
  }

  async #read(reader: number): Promise<void> {
    const client = await this.#connect();
    for (let n = reader; !this.#stopped; n++) {
      const [key, sentAtMs] = [this.#firstKey + (n % KEYS), performance.now()];
      try {
        const { rows } = await client.query<{ items: string[] }>('select items from lists where key = $1', [key]);
        this.reads.push({ key, sentAtMs, items: rows[0]!.items });
      } catch (error) {
        const { code, message } = error as Error & { code?: string };
        // What has begun to arrive cannot be asked for again behind the client's back.
        if (code !== '57P01' || !message.includes('while it sent the rows')) this.surprises.push(`read: ${code ?? 'no code'} ${message}`);
      }
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    await client.end();
  }
}

/** A server that stands still never answers: then the client gives up by itself. */
async function connectDirectly(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 1000, query_timeout: 5000 });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
