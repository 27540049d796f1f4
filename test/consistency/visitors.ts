import { AppFleet } from './app-fleet.ts';
import type { AppAnswer } from './app-messages.ts';
import { judgeCounter } from './checker.ts';
import type { Traffic } from './doors.ts';
import { pause, Tally } from './tally.ts';

const PROCESSES = 3;
const VISITORS = 6;
const TABLE = 'counters_of_visitors';
/** Tokens that wait to be taken over by another visitor. */
const MAX_HANDED = 50;

/** What a visitor keeps between two requests: a token, as in a cookie, and what it stands for. */
interface Cookie {
  token: string | null;
  /** By key: what was written, or is known to have been, and what was read. */
  readonly own: Map<number, number>;
  readonly seen: Map<number, number>;
}

/**
 * Each visitor has one counter and writes 1, 2, 3, … to it; every request of theirs is answered by another process of the application. A process knows
 * nothing of what the others have written but by the token that comes with the request. Now and then a visitor goes on with the token of somebody else.
 */
export class Visitors extends Tally implements Traffic {
  readonly table = TABLE;
  readonly #fleet: AppFleet;
  /** By key: the greatest number whose write was acknowledged to anybody. */
  readonly #newest: number[] = Array.from({ length: VISITORS }, () => 0);
  readonly #handed: Cookie[] = [];
  readonly #running: Promise<void>[] = [];
  #requests = 0;
  #stopped = false;

  constructor(connectionString: string) {
    super();
    this.#fleet = new AppFleet(PROCESSES, connectionString);
  }

  async prepare(): Promise<void> {
    await this.#must(`create table ${TABLE}(key int primary key, value int not null)`);
    await this.#must(`insert into ${TABLE} select k, 0 from generate_series(0, ${VISITORS - 1}) k`);
  }

  start(): void {
    for (let id = 0; id < VISITORS; id++) this.#running.push(this.#visit(id));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    if (this.#running.length === 0) await this.#fleet.stop();
  }

  async missing(): Promise<string[]> {
    const { rows } = await this.#must(`/* understudy:primary */ select key, value from ${TABLE}`);
    await this.#fleet.stop();
    const there = new Map(rows.map(({ key, value }) => [key, value]));
    return this.#newest.flatMap((n, key) => ((there.get(key) ?? 0) < n ? [`${key}:${n}`] : []));
  }

  async #visit(id: number): Promise<void> {
    const cookie: Cookie = { token: null, own: new Map(), seen: new Map() };
    for (let n = 1; !this.#stopped; n++) {
      await this.#write(cookie, id, n);
      await this.#read(cookie, id);
      await this.#read(cookie, (id + n) % VISITORS);
      if (n % 5 === 0) this.#handOver(cookie);
      const taken = n % 7 === 0 ? this.#handed.shift() : undefined;
      for (const key of taken?.own.keys() ?? []) await this.#read(taken as Cookie, key);
      await pause();
    }
  }

  #handOver({ token, own, seen }: Cookie): void {
    this.#handed.push({ token, own: new Map(own), seen: new Map(seen) });
    if (this.#handed.length > MAX_HANDED) this.#handed.shift();
  }

  async #write(cookie: Cookie, key: number, n: number): Promise<void> {
    const answer = await this.#ask(`update ${TABLE} set value = $2 where key = $1`, [key, n], cookie.token);
    if (answer.error === null) {
      this.writes += 1;
      this.#newest[key] = n;
      cookie.own.set(key, n);
      cookie.token = answer.token;
      return;
    }
    this.noteFailedWrite(answer.error);
  }

  async #read(cookie: Cookie, key: number): Promise<void> {
    const expected = {
      acknowledged: this.#newest[key] ?? 0,
      acknowledgedBeforeBound: 0,
      own: cookie.own.get(key) ?? 0,
      seen: cookie.seen.get(key) ?? 0,
    };
    const { token } = cookie;
    const answer = await this.#ask(`select value, inet_server_port() as port from ${TABLE} where key = $1`, [key], token);
    const [row] = answer.rows;
    if (answer.error !== null || row === undefined) {
      this.noteFailedRead(answer.error ?? { message: 'no row' });
      return;
    }
    cookie.token = answer.token;
    const { value = 0, port = 0 } = row;
    this.noteRead('token', port);
    const found = judgeCounter({ ...expected, level: 'token', value });
    const words = (): string =>
      `counter ${key} shows ${value}, expected ${JSON.stringify(expected)} with ${token}, answered by port ${port}`;
    this.verdicts.note('token', found, words);
    cookie.seen.set(key, Math.max(value, expected.seen));
  }

  /** Each request goes to the next process. */
  #ask(sql: string, values: readonly number[], token: string | null): Promise<AppAnswer> {
    this.#requests += 1;
    return this.#fleet.ask(this.#requests % this.#fleet.size, { sql, values, token });
  }

  async #must(sql: string): Promise<AppAnswer> {
    const answer = await this.#ask(sql, [], null);
    if (answer.error !== null) throw new Error(`${sql}: ${answer.error.message}`);
    return answer;
  }
}
