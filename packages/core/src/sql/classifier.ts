import { type CachedStatement, StatementCache } from './cache.ts';
import type { FunctionKnowledge } from './classify.ts';
import { Fingerprinter } from './fingerprint.ts';
import { type FunctionFacts, type FunctionOverrides, NO_FACTS, NO_OVERRIDES } from './functions.ts';
import { leadingHints } from './hints.ts';
import type { SqlParser } from './parser.ts';
import { quoteReservedRoute } from './router-commands.ts';
import type { Unit } from './statement.ts';
import { unitOf, unknownUnit } from './unit.ts';

export interface SqlClassifierOptions {
  readonly parser: SqlParser;
  /** Functions of the database; one classifier serves one database. */
  readonly facts?: FunctionFacts;
  readonly overrides?: FunctionOverrides;
  /** Fingerprints kept; default 10,000. */
  readonly maxEntries?: number;
}

const DEFAULT_MAX_ENTRIES = 10_000;

/** What each statement of one database does: fingerprint, cache, and on a miss the parser. Never throws. */
export class SqlClassifier {
  readonly #parser: SqlParser;
  readonly #knowledge: FunctionKnowledge;
  readonly #cache: StatementCache;
  readonly #fingerprinter: Fingerprinter = new Fingerprinter();
  #factsGeneration = 0;

  constructor(options: SqlClassifierOptions) {
    this.#parser = options.parser;
    this.#knowledge = { facts: options.facts ?? NO_FACTS, overrides: options.overrides ?? NO_OVERRIDES };
    this.#cache = new StatementCache(options.maxEntries ?? DEFAULT_MAX_ENTRIES);
  }

  /** Classifies the SQL text in `bytes[start..end)`, as it stands in a Query or Parse message, without its closing zero byte. */
  classifyBytes(bytes: Uint8Array, start: number = 0, end: number = bytes.length): CachedStatement {
    this.#fingerprinter.scan(bytes, start, end);
    return this.#lookUp();
  }

  classifyText(sql: string): CachedStatement {
    this.#fingerprinter.scanText(sql);
    return this.#lookUp();
  }

  /** A replica refused it with 25006: from now on it goes to the primary. */
  learnRefusedReadOnly(statement: CachedStatement): void {
    statement.learned.refusedReadOnly = true;
    statement.unit = corrected(statement.unit);
  }

  /** The facts or the database's definition have changed: every statement is judged anew when it is next met, and what was learned by refusal is forgotten. */
  functionsChanged(): void {
    this.#factsGeneration++;
  }

  /** Changes when statements are judged anew: what was kept of an older generation must be asked for again. */
  get generation(): number {
    return this.#factsGeneration;
  }

  get stats(): { readonly size: number; readonly hits: number; readonly misses: number } {
    return { size: this.#cache.size, hits: this.#cache.hits, misses: this.#cache.misses };
  }

  #lookUp(): CachedStatement {
    const scan = this.#fingerprinter;
    if (scan.tooLong) return uncached(unknownUnit('too-long'));
    const found = this.#cache.find(scan.bytes, scan.length, scan.hash);
    if (found) {
      if (found.factsGeneration !== this.#factsGeneration) this.#renew(found);
      return found;
    }
    const entry = newEntry(scan.bytes.slice(0, scan.length), scan.hash, this.#classify(), this.#factsGeneration);
    this.#cache.add(entry);
    return entry;
  }

  #renew(statement: CachedStatement): void {
    statement.unit = this.#classify();
    statement.factsGeneration = this.#factsGeneration;
    statement.learned.refusedReadOnly = false;
  }

  /** Parses and judges the fingerprint just scanned. */
  #classify(): Unit {
    const sql = this.#fingerprinter.text();
    const hints = leadingHints(sql);
    // The parser takes an empty text for an error, the server does not.
    if (sql === '') return unitOf({ stmts: [] }, hints, this.#knowledge);
    try {
      return unitOf(this.#parser.parse(quoteReservedRoute(sql)), hints, this.#knowledge);
    } catch {
      // Whatever the parser throws, the server will say better what is wrong with the text.
      return unknownUnit('unparsable', hints);
    }
  }
}

function corrected(unit: Unit): Unit {
  if (unit.demand !== 'replica') return unit;
  return { ...unit, demand: 'primary', reason: { code: 'refused-read-only', detail: '' }, plainRead: false };
}

function newEntry(fingerprint: Uint8Array, hash: number, unit: Unit, factsGeneration: number): CachedStatement {
  return { fingerprint, hash, unit, factsGeneration, learned: { refusedReadOnly: false, meanMs: 0, meanBytes: 0, runs: 0 } };
}

function uncached(unit: Unit): CachedStatement {
  return newEntry(new Uint8Array(0), 0, unit, 0);
}
