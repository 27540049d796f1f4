import type pg from 'pg';

/**
 * A client that writes numbered rows, one commit each, and remembers which were acknowledged. What got an error is neither: its
 * outcome is unknown, so it may be there or not, but never twice.
 */
export class LedgerWriter {
  readonly #client: pg.Client;
  readonly #writer: number;
  readonly acknowledged: number[] = [];
  readonly errors: { readonly code: string; readonly message: string }[] = [];
  #next = 1;
  #stopped = false;
  #done: Promise<void> | null = null;

  constructor(client: pg.Client, writer: number) {
    this.#client = client;
    this.#writer = writer;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const n = this.#next++;
      try {
        await this.#client.query('insert into ledger(writer, n) values ($1, $2)', [this.#writer, n]);
        this.acknowledged.push(n);
      } catch (error) {
        const { code = '', message } = error as { code?: string; message: string };
        this.errors.push({ code, message });
        if (code === '') return;
      }
    }
  }
}

export const LEDGER_TABLE = 'create table ledger(writer int, n int, at timestamptz default clock_timestamp())';

/** Acknowledged rows that are not there, and rows that are there more than once. */
export async function auditLedger(
  client: pg.Client,
  writers: readonly { readonly id: number; readonly acknowledged: readonly number[] }[],
): Promise<{ lost: string[]; doubled: string[] }> {
  const { rows } = await client.query<{ writer: number; n: number; times: number }>(
    '/* understudy:primary */ select writer, n, count(*)::int as times from ledger group by 1, 2',
  );
  const times = new Map(rows.map(row => [`${row.writer}:${row.n}`, row.times]));
  const lost = writers.flatMap(w => w.acknowledged.map(n => `${w.id}:${n}`)).filter(key => !times.has(key));
  const doubled = [...times].filter(([, count]) => count > 1).map(([key]) => key);
  return { lost, doubled };
}
