import pg from 'pg';
import { until } from './wait.ts';

/** An application that writes one row after the other to whichever of its servers takes writes, past every router, and counts what was acknowledged. */
export class DirectWriter {
  readonly acknowledged: number[] = [];
  readonly errors: string[] = [];
  readonly #login: pg.ClientConfig;
  readonly #ports: readonly number[];
  #next = 1;
  #stopped = false;
  #done: Promise<void> = Promise.resolve();

  constructor(login: pg.ClientConfig, ports: readonly number[]) {
    this.#login = login;
    this.#ports = ports;
  }

  /** Makes its table first. */
  async start(): Promise<void> {
    await this.#on(this.#ports[0]!, client => client.query('create table ledger(n int primary key)'));
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** So many rows more, from now on. */
  async writes(count: number): Promise<void> {
    const goal = this.acknowledged.length + count;
    await until(`${count} rows more`, () => (this.acknowledged.length >= goal ? true : null), 60_000);
  }

  /** What was acknowledged and is not on the server at this port. */
  async lostAt(port: number): Promise<number[]> {
    const acknowledged = [...this.acknowledged];
    const { rows } = await this.#on(port, client => client.query<{ n: number }>('select n from ledger'));
    const there = new Set(rows.map(({ n }) => n));
    return acknowledged.filter(n => !there.has(n));
  }

  async #on<T>(port: number, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ ...this.#login, port });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await use(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      await this.#on(this.#ports[turn % this.#ports.length]!, client => this.#write(client)).catch((error: Error) =>
        this.errors.push(error.message),
      );
    }
  }

  async #write(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ replica: boolean }>('select pg_is_in_recovery() as replica');
    while (!rows[0]!.replica && !this.#stopped) {
      const n = this.#next++;
      await client.query('insert into ledger values ($1)', [n]);
      this.acknowledged.push(n);
    }
  }
}
