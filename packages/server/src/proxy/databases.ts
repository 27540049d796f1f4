import { performance } from 'node:perf_hooks';
import {
  ASK_FUNCTIONS,
  builtinRole,
  DatabaseFunctions,
  type FunctionOverrides,
  readFunctions,
  SqlClassifier,
  type SqlParser,
  type Unit,
} from '@understudy/core/sql';
import { HIDING_TRIGGERS } from './hiding-triggers.ts';
import type { ProxyOptions } from './options.ts';
import { openAsRouter } from './router-connection.ts';
import type { ServerAddress } from './server-connection.ts';
import { type PreparedCounts, Texts } from './statements.ts';

/** Databases whose statements are kept classified. */
const MAX_DATABASES = 100;
/** A database is not asked for its functions more often than this. */
const ASK_INTERVAL_MS = 2_000;

function overridesOf({ functions }: Pick<ProxyOptions, 'functions'>): FunctionOverrides {
  return { allow: new Set(functions.allow), deny: new Set(functions.deny) };
}

interface Database {
  readonly classifier: SqlClassifier;
  readonly texts: Texts;
  readonly functions: DatabaseFunctions;
  /** Whether triggers may leave state in a session that writes; null: that is not known yet, or not any more. */
  hidingTriggers: boolean | null;
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
  /** Of all databases since the start. */
  readonly prepared: PreparedCounts = { sent: 0, reused: 0 };

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

  /** True when whatever writes may change its session, by triggers that do. */
  writesMayHide(name: string): boolean {
    const database = this.#database(name);
    if (database.hidingTriggers === null) this.functionsWanted(name);
    return database.hidingTriggers ?? true;
  }

  /** A statement calls functions that nothing is known of: until the database has told, it goes to the primary. */
  functionsWanted(name: string): void {
    const database = this.#database(name);
    database.wanted = true;
    this.#askSoon(name, database);
  }

  /** The definition of the database has changed; `code`: that of functions or triggers may be among it. */
  definitionChanged(name: string, code: boolean): void {
    const database = this.#database(name);
    if (!database.wanted) return;
    if (code) database.hidingTriggers = null;
    this.#askSoon(name, database);
  }

  stop(): void {
    for (const { asking } of this.#known.values()) if (asking !== null) clearTimeout(asking);
    this.#known.clear();
  }

  #database(name: string): Database {
    let database = this.#known.get(name);
    if (database === undefined) {
      if (this.#known.size >= MAX_DATABASES) this.#known.delete(this.#known.keys().next().value as string);
      const functions = new DatabaseFunctions();
      const classifier = new SqlClassifier({ parser: this.#parser, facts: functions, overrides: this.#overrides });
      const texts = new Texts(classifier, () => ++this.#statementId, this.prepared);
      database = { classifier, texts, functions, hidingTriggers: null, wanted: false, asking: null, askedAtMs: Number.NEGATIVE_INFINITY };
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
      void this.#ask(name, database).catch(() => {
        // Functions stay unknown, and so on the primary. Triggers are taken for harmless until the next change: to look for what they leave
        // after each write would cost more than the write.
        database.hidingTriggers ??= false;
      });
    }, waitMs);
  }

  async #ask(name: string, database: Database): Promise<void> {
    const address = this.#servers()[0];
    if (address === undefined) return;
    const { router, serverTls, connectTimeoutMs } = this.#options;
    const connection = await openAsRouter(address, { router: { ...router, database: name }, serverTls, connectTimeoutMs });
    const timer = setTimeout(() => connection.destroy(new Error('the server did not answer in time')), connectTimeoutMs);
    try {
      const [functions] = await connection.ask(ASK_FUNCTIONS);
      database.functions.replace(readFunctions(functions?.[0]));
      const [triggers] = await connection.ask(HIDING_TRIGGERS);
      // Asked for once more when a definition has changed meanwhile.
      if (database.asking === null) database.hidingTriggers = triggers?.[0] === 't';
      database.classifier.functionsChanged();
    } finally {
      clearTimeout(timer);
      connection.end();
    }
  }
}
