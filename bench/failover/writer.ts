import type pg from 'pg';

const RETRY_MS = 10;
/** After so long without an answer a client gives its connection up and looks for another. */
const PATIENCE_MS = 1000;

/** What the writer noted of one acknowledged row. */
interface Acknowledged {
  readonly n: number;
  /** Wall clock. */
  readonly atMs: number;
}

export const TABLE = 'create table if not exists outage(writer int, n int)';

/**
 * One client that inserts row after row, a commit each, and notes when each was acknowledged. It gives up a connection that fails or stays
 * silent, and connects anew: the time without a writable primary is the longest time between two acknowledgements.
 */
export class OutageWriter {
  readonly acknowledged: Acknowledged[] = [];
  /** Errors by SQLSTATE, or `lost` for a connection that went. */
  readonly errors = new Map<string, number>();
  readonly #id: number;
  readonly #connect: () => Promise<pg.Client>;
  readonly #patienceMs: number | null;
  #stopped = false;
  #done: Promise<void> | null = null;

  /** `keeps`: it stays with its connection, however long that is silent. */
  constructor(id: number, connect: () => Promise<pg.Client>, keeps = false) {
    this.#id = id;
    this.#connect = connect;
    this.#patienceMs = keeps ? null : PATIENCE_MS;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** A connection that is silent is dropped. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stop();
    await this.#done;
  }

  #stop: () => void = () => undefined;

  /** Milliseconds between the last acknowledgement before `atMs` and the first one after it that came from a working primary. */
  outage(atMs: number): { readonly ms: number; readonly writableAtMs: number } {
    let worst = { ms: 0, writableAtMs: atMs };
    for (let i = 1; i < this.acknowledged.length; i++) {
      const [last, next] = [this.acknowledged[i - 1]!, this.acknowledged[i]!];
      if (next.atMs >= atMs && next.atMs - last.atMs > worst.ms) worst = { ms: next.atMs - last.atMs, writableAtMs: next.atMs };
    }
    return worst;
  }

  /** Acknowledged rows that are not there. */
  async lost(client: pg.Client): Promise<number> {
    const { rows } = await client.query<{ n: number }>('/* understudy:primary */ select n from outage where writer = $1', [this.#id]);
    const there = new Set(rows.map(row => row.n));
    return this.acknowledged.filter(({ n }) => !there.has(n)).length;
  }

  async #run(): Promise<void> {
    let client: pg.Client | null = null;
    const stopped = new Promise<'stopped'>(resolve => {
      this.#stop = () => resolve('stopped');
    });
    for (let n = 1; !this.#stopped; n++) {
      try {
        client ??= await this.#connect();
        const answer = await Promise.race([
          client.query('insert into outage values ($1, $2)', [this.#id, n]),
          silence(this.#patienceMs),
          stopped,
        ]);
        if (answer === 'stopped') break;
        if (answer === 'silent') throw new Error('silent');
        this.acknowledged.push({ n, atMs: Date.now() });
      } catch (error) {
        const code = (error as { code?: string }).code ?? 'lost';
        this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
        drop(client);
        client = null;
        if (this.#patienceMs === null) return;
        await new Promise(resolve => setTimeout(resolve, RETRY_MS));
      }
    }
    drop(client);
  }
}

function silence(ms: number | null): Promise<'silent'> {
  return new Promise(resolve => {
    if (ms !== null) setTimeout(() => resolve('silent'), ms).unref();
  });
}

/** Without a goodbye, which a stopped server would never take. */
function drop(client: pg.Client | null): void {
  if (client === null) return;
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  stream.destroy();
}
