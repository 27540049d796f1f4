import { performance } from 'node:perf_hooks';
import {
  builtinRole,
  type FunctionCall,
  type FunctionFacts,
  type FunctionOverrides,
  SqlClassifier,
  type SqlParser,
  type Unit,
  type Volatility,
} from '@understudy/core/sql';
import type { ProxyOptions } from './options.ts';
import { type ServerAddress, ServerConnection } from './server-connection.ts';
import { Texts } from './statements.ts';

/** Databases whose statements are kept classified. */
const MAX_DATABASES = 100;
/** A database is not asked for its functions more often than this. */
const ASK_INTERVAL_MS = 2_000;

/** User-defined functions by schema and name, the most volatile of each name. One row, since its size is the database's business. */
export const FUNCTIONS: string = `SELECT pg_catalog.json_agg(f) FROM (
  SELECT n.nspname AS schema, p.proname AS name, pg_catalog.max(p.provolatile::pg_catalog.text) AS volatility
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog' AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  GROUP BY 1, 2) f`;

const VOLATILITY: Readonly<Record<string, Volatility>> = { i: 'immutable', s: 'stable', v: 'volatile' };
const STRENGTH: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 };

/** What pg_proc said when it was last read. */
export class Functions implements FunctionFacts {
  readonly #byName = new Map<string, Volatility>();
  readonly #byFullName = new Map<string, Volatility>();

  volatility(call: FunctionCall): Volatility | null {
    const found = call.schema === null ? this.#byName.get(call.name) : this.#byFullName.get(`${call.schema}.${call.name}`);
    return found ?? null;
  }

  replace(rows: readonly { readonly schema: string; readonly name: string; readonly volatility: string }[]): void {
    this.#byName.clear();
    this.#byFullName.clear();
    for (const { schema, name, volatility } of rows) {
      const value = VOLATILITY[volatility] ?? 'volatile';
      this.#byFullName.set(`${schema}.${name}`, value);
      const before = this.#byName.get(name);
      if (before === undefined || STRENGTH[value] > STRENGTH[before]) this.#byName.set(name, value);
    }
  }
}

function overridesOf({ functions }: Pick<ProxyOptions, 'functions'>): FunctionOverrides {
  return { allow: new Set(functions.allow), deny: new Set(functions.deny) };
}

interface Database {
  readonly classifier: SqlClassifier;
  readonly texts: Texts;
  readonly functions: Functions;
  /** Functions were asked for, so that DDL makes it worthwhile to ask again. */
  wanted: boolean;
  asking: NodeJS.Timeout | null;
  askedAtMs: number;
}

/** One classifier per database, with what the database says of its functions. */
export class Databases {
  readonly #options: ProxyOptions;
  readonly #parser: SqlParser;
  readonly #servers: () => readonly ServerAddress[];
  /** The classifiers have it too: it is changed in place. */
  readonly #overrides: FunctionOverrides;
  readonly #known = new Map<string, Database>();
  /** Units are never changed, so what was found out once holds. */
  readonly #hiding = new WeakMap<Unit, boolean>();
  #statementId = 0;

  constructor(options: ProxyOptions, parser: SqlParser, servers: () => readonly ServerAddress[]) {
    this.#options = options;
    this.#parser = parser;
    this.#servers = servers;
    this.#overrides = overridesOf(options);
  }

  /** The options have changed. */
  onOptions(): void {
    Object.assign(this.#overrides, overridesOf(this.#options));
    for (const { classifier } of this.#known.values()) classifier.functionsChanged();
  }

  classifierOf(name: string): SqlClassifier {
    return this.#database(name).classifier;
  }

  textsOf(name: string): Texts {
    return this.#database(name).texts;
  }

  /** True when a unit may change its session in ways that its text does not show: it runs code of a user's, or is not understood. */
  mayHideEffects(name: string, unit: Unit): boolean {
    let hides = this.#hiding.get(unit);
    if (hides === undefined) {
      const { functions } = this.#database(name);
      hides =
        unit.statements.some(s => s.kind === 'unknown' || s.reason.code === 'do-block' || s.reason.code === 'call') ||
        unit.functions.some(call => builtinRole(call.name) === null && (functions.volatility(call) ?? 'volatile') === 'volatile');
      this.#hiding.set(unit, hides);
    }
    return hides;
  }

  /** A statement calls functions that nothing is known of: until the database has told, it goes to the primary. */
  functionsWanted(name: string): void {
    const database = this.#database(name);
    database.wanted = true;
    this.#askSoon(name, database);
  }

  /** The definition of the database has changed. */
  definitionChanged(name: string): void {
    const database = this.#database(name);
    if (database.wanted) this.#askSoon(name, database);
  }

  stop(): void {
    for (const { asking } of this.#known.values()) if (asking !== null) clearTimeout(asking);
    this.#known.clear();
  }

  #database(name: string): Database {
    let database = this.#known.get(name);
    if (database === undefined) {
      if (this.#known.size >= MAX_DATABASES) this.#known.delete(this.#known.keys().next().value as string);
      const functions = new Functions();
      const classifier = new SqlClassifier({ parser: this.#parser, facts: functions, overrides: this.#overrides });
      const texts = new Texts(classifier, () => ++this.#statementId);
      database = { classifier, texts, functions, wanted: false, asking: null, askedAtMs: Number.NEGATIVE_INFINITY };
      this.#known.set(name, database);
    }
    return database;
  }

  #askSoon(name: string, database: Database): void {
    if (database.asking !== null) return;
    const waitMs = Math.max(0, database.askedAtMs + ASK_INTERVAL_MS - performance.now());
    database.asking = setTimeout(() => {
      database.asking = null;
      database.askedAtMs = performance.now();
      // A database that cannot be asked leaves its functions unknown, and so on the primary.
      void this.#ask(name, database).catch(() => undefined);
    }, waitMs);
  }

  async #ask(name: string, database: Database): Promise<void> {
    const address = this.#servers()[0];
    if (address === undefined) return;
    const { user, password } = this.#options.router;
    const connection = await ServerConnection.open({
      address,
      member: '',
      role: 'replica',
      term: 0,
      parameters: new Map([
        ['user', user],
        ['database', name],
        ['application_name', 'understudy router'],
        ['client_encoding', 'UTF8'],
        ['search_path', 'pg_catalog'],
      ]),
      credential: { kind: 'password', password },
      timeoutMs: this.#options.connectTimeoutMs,
    });
    const timer = setTimeout(() => connection.destroy(new Error('the server did not answer in time')), this.#options.connectTimeoutMs);
    try {
      const [row] = await connection.ask(FUNCTIONS);
      database.functions.replace(JSON.parse(row?.[0] ?? '[]') as Parameters<Functions['replace']>[0]);
      database.classifier.functionsChanged();
    } finally {
      clearTimeout(timer);
      connection.end();
    }
  }
}
