import pg from 'pg';

/** A number from 0 to below 1; seeded, so that a run's plan can be repeated. */
export type Random = () => number;

/** What one client found wrong. The run goes on, so that one report names everything. */
export interface Finding {
  readonly client: number;
  readonly what: string;
}

/** Clients that count together under one lock. */
export const COUNTERS = 50;

export const SCHEMA = `
  CREATE TABLE soak_rows (owner int, n int, PRIMARY KEY (owner, n));
  CREATE TABLE soak_counters (id int PRIMARY KEY, value bigint NOT NULL);
  INSERT INTO soak_counters SELECT i, 0 FROM generate_series(0, ${COUNTERS - 1}) i`;

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** One client with settings, statements, locks and rows that are its own. It checks every answer against what it has asked itself. */
export class SoakClient {
  readonly #id: number;
  readonly #url: string;
  readonly #random: Random;
  readonly #find: (finding: Finding) => void;
  #client: pg.Client | null = null;
  /** Rows that were acknowledged. */
  #rows = 0;
  #operations = 0;
  #counted = 0;

  constructor(id: number, url: string, random: Random, find: (finding: Finding) => void) {
    this.#id = id;
    this.#url = url;
    this.#random = random;
    this.#find = find;
  }

  get operations(): number {
    return this.#operations;
  }

  /** How often this client has raised its counter. */
  get counted(): number {
    return this.#counted;
  }

  get counter(): number {
    return this.#id % COUNTERS;
  }

  async run(untilMs: number, thinkMs: number): Promise<void> {
    await pause(this.#random() * thinkMs);
    while (performance.now() < untilMs) {
      try {
        this.#client ??= await this.#connect();
        await this.#step(this.#client);
        this.#operations += 1;
      } catch (error) {
        const { code = '', message } = error as { code?: string; message: string };
        this.#found(`${code} ${message}`);
        await this.#leave();
      }
      await pause(this.#random() * 2 * thinkMs);
    }
    await this.#leave();
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.#url, application_name: `soak ${this.#id}` });
    client.on('error', error => this.#found(`the connection ended: ${error.message}`));
    await client.connect();
    await client.query(`SET work_mem = '${this.#workMem}'`);
    await client.query("SELECT set_config('soak.owner', $1, false)", [String(this.#id)]);
    return client;
  }

  async #leave(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  get #workMem(): string {
    return `${1024 + this.#id}kB`;
  }

  #found(what: string): void {
    this.#find({ client: this.#id, what });
  }

  #check(what: string, seen: unknown, wanted: unknown): void {
    if (JSON.stringify(seen) !== JSON.stringify(wanted)) this.#found(`${what}: ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`);
  }

  async #step(client: pg.Client): Promise<void> {
    const dice = this.#random();
    if (dice < 0.35) return this.#readSettings(client);
    if (dice < 0.6) return this.#prepared(client);
    if (dice < 0.75) return this.#writeAndRead(client);
    if (dice < 0.83) return this.#transaction(client);
    if (dice < 0.9) return this.#count(client);
    if (dice < 0.94) return this.#fail(client);
    if (dice < 0.98) return this.#lock(client);
    if (dice < 0.985) return this.#temporary(client);
    if (dice < 0.99) return this.#sqlPrepared(client);
    await this.#leave();
  }

  async #readSettings(client: pg.Client): Promise<void> {
    const { rows } = await client.query(
      "SELECT current_setting('work_mem') AS mem, current_setting('soak.owner') AS owner, current_setting('application_name') AS name",
    );
    this.#check('settings', rows, [{ mem: memory(1024 + this.#id), owner: String(this.#id), name: `soak ${this.#id}` }]);
  }

  /** All clients use the same name for different statements. */
  async #prepared(client: pg.Client): Promise<void> {
    const n = Math.floor(this.#random() * 1000);
    const { rows } = await client.query({ name: 'mine', text: `SELECT ${this.#id} AS owner, $1::int AS n`, values: [n] });
    this.#check('prepared statement', rows, [{ owner: this.#id, n }]);
  }

  async #writeAndRead(client: pg.Client): Promise<void> {
    await client.query('INSERT INTO soak_rows VALUES ($1, $2)', [this.#id, this.#rows]);
    this.#rows += 1;
    const { rows } = await client.query('SELECT count(*)::int AS n, max(n) AS last FROM soak_rows WHERE owner = $1', [this.#id]);
    this.#check('own rows', rows, [{ n: this.#rows, last: this.#rows - 1 }]);
  }

  async #transaction(client: pg.Client): Promise<void> {
    await client.query('BEGIN');
    await client.query("SET LOCAL work_mem = '99MB'");
    await client.query("SET soak.owner = 'nobody'");
    await client.query('INSERT INTO soak_rows VALUES ($1, $2)', [this.#id, -1]);
    this.#check('setting of the transaction', (await client.query('SHOW work_mem')).rows, [{ work_mem: '99MB' }]);
    await client.query('ROLLBACK');
    await this.#readSettings(client);
  }

  /** Adds one under a lock of the session's, read and written in two statements: a lock that does not hold loses some. */
  async #count(client: pg.Client): Promise<void> {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock(1000000 + $1)', [this.counter]);
    const { rows } = await client.query('SELECT value FROM soak_counters WHERE id = $1', [this.counter]);
    await client.query('UPDATE soak_counters SET value = $2 WHERE id = $1', [this.counter, Number(rows[0].value) + 1]);
    await client.query('COMMIT');
    this.#counted += 1;
  }

  async #fail(client: pg.Client): Promise<void> {
    const code = await client.query('SELECT 1 / $1::int', [0]).then(
      () => 'no error',
      (error: { code: string }) => error.code,
    );
    this.#check('division by zero', code, '22012');
    const both = (await client.query(`SELECT ${this.#id} AS a; SELECT ${this.#id + 1} AS b`)) as unknown as pg.QueryResult[];
    this.#check(
      'two statements',
      both.map(result => result.rows),
      [[{ a: this.#id }], [{ b: this.#id + 1 }]],
    );
  }

  async #lock(client: pg.Client): Promise<void> {
    const got = await client.query('SELECT pg_try_advisory_lock($1) AS got', [this.#id]);
    this.#check('own lock', got.rows, [{ got: true }]);
    const released = await client.query('SELECT pg_advisory_unlock($1) AS released', [this.#id]);
    this.#check('own unlock', released.rows, [{ released: true }]);
  }

  async #temporary(client: pg.Client): Promise<void> {
    await client.query(`CREATE TEMP TABLE mine AS SELECT ${this.#id} AS owner`);
    this.#check('temporary table', (await client.query('SELECT owner FROM mine')).rows, [{ owner: this.#id }]);
    await client.query('DISCARD TEMP');
  }

  async #sqlPrepared(client: pg.Client): Promise<void> {
    await client.query(`PREPARE own AS SELECT ${this.#id} AS owner`);
    this.#check('EXECUTE', (await client.query('EXECUTE own')).rows, [{ owner: this.#id }]);
    await client.query('DEALLOCATE own');
  }
}

/** As PostgreSQL writes an amount of memory given in kB. */
function memory(kilobytes: number): string {
  return kilobytes % 1024 === 0 ? `${kilobytes / 1024}MB` : `${kilobytes}kB`;
}
