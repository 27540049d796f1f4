import type pg from 'pg';
import { AcknowledgedCounter } from './acknowledged.ts';
import { type Expectation, judgeCounter, judgeList, type Level, LEVELS } from './checker.ts';
import type { Traffic } from './doors.ts';
import { pause, Tally } from './tally.ts';

/** The bound of `bounded` sessions: over the delay of the replica that replays late, so that it may serve them. */
export const BOUND_MS = 5000;
/** A list is left for a new one when it is so long. */
const LIST_LENGTH = 100;
const WRITERS = 4;
const READERS_OF_EACH_LEVEL = 2;

interface Connection {
  readonly client: pg.Client;
  readonly level: Level;
  /** By key: what this session wrote, and what it read. */
  readonly own: Map<number, number>;
  readonly seen: Map<number, number>;
}

interface Handover {
  readonly key: number;
  readonly n: number;
  readonly token: string;
}

/**
 * Each writer has one counter and one list of its own, and writes the numbers 1, 2, 3, … to both. It reads back on its own connection;
 * readers of every level read everybody's on others. Each read is judged at once against what had been acknowledged before it was sent.
 */
export class Workload extends Tally implements Traffic {
  readonly #newClient: () => pg.Client;
  readonly #counterTable: string;
  readonly #listTable: string;
  readonly #counters: readonly AcknowledgedCounter[] = Array.from({ length: WRITERS }, () => new AcknowledgedCounter(2 * BOUND_MS));
  /** By list: numbers whose append was acknowledged. */
  readonly #lists = new Map<number, Set<number>>();
  readonly #handovers: Handover[] = [];
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  /** `name`: of its tables. */
  constructor(name: string, newClient: () => pg.Client) {
    super();
    this.#newClient = newClient;
    this.#counterTable = `counters_of_${name}`;
    this.#listTable = `lists_of_${name}`;
  }

  get table(): string {
    return this.#listTable;
  }

  async prepare(): Promise<void> {
    const { client } = await this.#connect('strong');
    await client.query(`create table ${this.#counterTable}(key int primary key, value int not null)`);
    await client.query(`create table ${this.#listTable}(key int primary key, items int[] not null)`);
    await client.query(`insert into ${this.#counterTable} select k, 0 from generate_series(0, ${WRITERS - 1}) k`);
    await client.end();
  }

  start(): void {
    const levels: readonly Level[] = ['strong', 'session', 'eventual'];
    for (let id = 0; id < WRITERS; id++) this.#running.push(this.#write(id, levels[id % levels.length] as Level));
    for (const level of LEVELS) for (let i = 0; i < READERS_OF_EACH_LEVEL; i++) this.#running.push(this.#read(level));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Acknowledged appends that are not on the primary in the end. */
  async missing(): Promise<string[]> {
    const { client } = await this.#connect('strong');
    const { rows } = await client.query<{ key: number; items: number[] }>(
      `/* understudy:primary */ select key, items from ${this.#listTable}`,
    );
    await client.end();
    const there = new Map(rows.map(({ key, items }) => [key, new Set(items)]));
    return [...this.#lists].flatMap(([key, numbers]) => [...numbers].filter(n => !there.get(key)?.has(n)).map(n => `${key}:${n}`));
  }

  async #connect(level: Level): Promise<Connection> {
    const client = this.#newClient();
    client.on('error', error => this.surprises.push(`connection lost: ${error.message}`));
    await client.connect();
    await client.query(`set understudy.consistency = '${level === 'token' ? 'session' : level}'`);
    await client.query(`set understudy.max_lag_ms = ${BOUND_MS}`);
    return { client, level, own: new Map(), seen: new Map() };
  }

  async #write(id: number, level: Level): Promise<void> {
    const on = await this.#connect(level);
    for (let n = 1; !this.#stopped; n++) {
      if (await this.#tell(on, `update ${this.#counterTable} set value = $2 where key = $1`, [id, n])) {
        this.#counters[id]?.note(n, performance.now());
        on.own.set(id, n);
        if (n % 5 === 0) await this.#handOver(on, id, n);
      }
      await this.#append(on, id, n);
      await this.#readCounter(on, id);
      await this.#readList(on, listOf(id, n));
      await pause();
    }
    await on.client.end();
  }

  async #append(on: Connection, id: number, n: number): Promise<void> {
    const key = listOf(id, n);
    const table = this.#listTable;
    const sql = `insert into ${table} values ($1, array[$2::int]) on conflict (key) do update set items = ${table}.items || $2::int`;
    const acknowledged = this.#lists.get(key) ?? new Set();
    this.#lists.set(key, acknowledged);
    if (await this.#tell(on, sql, [key, n])) acknowledged.add(n);
  }

  /** True: acknowledged. */
  async #tell({ client }: Connection, sql: string, values: readonly number[]): Promise<boolean> {
    try {
      await client.query(sql, [...values]);
      this.writes += 1;
      return true;
    } catch (error) {
      this.noteFailedWrite(error as { code?: string; message: string });
      return false;
    }
  }

  async #handOver({ client }: Connection, key: number, n: number): Promise<void> {
    try {
      const { rows } = await client.query<{ 'understudy.token': string }>('show understudy.token');
      this.#handovers.push({ key, n, token: rows[0]!['understudy.token'] });
      if (this.#handovers.length > 100) this.#handovers.shift();
    } catch (error) {
      this.surprises.push(`token: ${(error as Error).message}`);
    }
  }

  async #read(level: Level): Promise<void> {
    const on = await this.#connect(level);
    for (let n = 0; !this.#stopped; n++) {
      const key = n % WRITERS;
      if (level === 'token') await this.#takeToken(on);
      else if (n % 10 === 9) await this.#readList(on, listOf(key, Math.max(1, this.#counters[key]!.newest)));
      else await this.#readCounter(on, key);
      await pause();
    }
    await on.client.end();
  }

  async #takeToken(on: Connection): Promise<void> {
    const handed = this.#handovers.shift();
    if (handed === undefined) return;
    await on.client.query(`set understudy.token = '${handed.token}'`);
    on.own.set(handed.key, Math.max(handed.n, on.own.get(handed.key) ?? 0));
    await this.#readCounter(on, handed.key);
  }

  async #readCounter(on: Connection, key: number): Promise<void> {
    const counter = this.#counters[key]!;
    const sentAtMs = performance.now();
    const expected: Expectation = {
      acknowledged: counter.newest,
      acknowledgedBeforeBound: counter.before(sentAtMs - BOUND_MS),
      own: on.own.get(key) ?? 0,
      seen: on.seen.get(key) ?? 0,
    };
    const row = await this.#one<{ value: number; port: number }>(
      on,
      `select value, inet_server_port() as port from ${this.#counterTable} where key = $1`,
      key,
    );
    if (row === null) return;
    this.noteRead(on.level, row.port);
    const found = judgeCounter({ ...expected, level: on.level, value: row.value });
    this.verdicts.note(
      on.level,
      found,
      () =>
        `counter ${key} shows ${row.value}, expected ${JSON.stringify(expected)}, sent at ${Math.round(sentAtMs)} ms, answered by port ${row.port}`,
    );
    on.seen.set(key, Math.max(row.value, expected.seen));
  }

  async #readList(on: Connection, key: number): Promise<void> {
    const row = await this.#one<{ items: number[]; port: number }>(
      on,
      `select items, inet_server_port() as port from ${this.#listTable} where key = $1`,
      key,
    );
    if (row === null) return;
    this.noteRead(on.level, row.port);
    const acknowledged = this.#lists.get(key) ?? new Set();
    const first = Math.max(1, (key % LISTS_OF_A_WRITER) * LIST_LENGTH);
    const items = row.items.map(n => n - first + 1);
    const relative = new Set([...acknowledged].map(n => n - first + 1));
    const found = judgeList({ level: on.level, items, acknowledged: relative });
    this.verdicts.note(
      on.level,
      found,
      () => `list ${key} shows ${row.items.slice(-5).join(' ')} at its end, answered by port ${row.port}`,
    );
  }

  async #one<T extends pg.QueryResultRow>({ client }: Connection, sql: string, key: number): Promise<T | null> {
    try {
      return (await client.query<T>(sql, [key])).rows[0] ?? null;
    } catch (error) {
      this.noteFailedRead(error as { code?: string; message: string });
      return null;
    }
  }
}

const LISTS_OF_A_WRITER = 1_000_000;

/** The list into which a writer puts this number. */
function listOf(writer: number, n: number): number {
  return writer * LISTS_OF_A_WRITER + Math.floor(n / LIST_LENGTH);
}
