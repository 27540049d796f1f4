import type { CachedStatement, SqlClassifier } from '@understudy/core/sql';
import { frontend } from '@understudy/wire';

/** Prefix of the names on servers. A client that uses it itself is answered as for any unknown name. */
export const SERVER_NAME_PREFIX = 'understudy_';
/** Texts that are kept, and the longest of them: longer ones are rarely sent twice. */
const MAX_TEXTS = 10_000;
const MAX_TEXT_BYTES = 16 * 1024;
/** A text without a name is prepared on the servers once it has come so often. */
const REPEATED = 2;

/**
 * A text with its parameter types, as clients prepare it. Clients that prepare the same share it, and with it the name that it has on servers.
 */
export interface ServerStatement {
  /** Unique in the process. */
  readonly id: number;
  readonly serverName: string;
  /** What stands in a Parse message behind the name. */
  readonly tail: Buffer;
  /** Settings under which the text is read; statements of another scope are others. */
  readonly scope: string;
  /** Parse under the server's name, whole. */
  readonly parse: Buffer;
  readonly describe: Buffer;
  readonly close: Buffer;
}

/** A text that was sent to be prepared, with what is known of it. */
export interface KnownText {
  readonly tail: Buffer;
  readonly hash: number;
  sql: CachedStatement;
  /** Generation of the classifier that `sql` comes from. */
  generation: number;
  /** How often it came. */
  uses: number;
  /** The statement for each scope; most have one. */
  readonly statements: Map<string, ServerStatement>;
}

/** Parse messages of clients: sent to a server, or answered without it. */
export interface PreparedCounts {
  sent: number;
  reused: number;
}

/** Texts by content, for one database. Bounded; the oldest go first. */
export class Texts {
  readonly #classifier: SqlClassifier;
  readonly #nextId: () => number;
  /** Shared by the texts of all databases. */
  readonly counts: PreparedCounts;
  #young = new Map<number, KnownText>();
  #old = new Map<number, KnownText>();

  constructor(classifier: SqlClassifier, nextId: () => number, counts: PreparedCounts = { sent: 0, reused: 0 }) {
    this.#classifier = classifier;
    this.#nextId = nextId;
    this.counts = counts;
  }

  /** The text of a Parse message: `chunk[nameEnd + 1, end)`, of which the SQL ends at `textEnd`. */
  find(chunk: Buffer, start: number, textEnd: number, end: number): KnownText {
    if (end - start > MAX_TEXT_BYTES) return this.#make(chunk, start, textEnd, end, 0);
    const hash = hashOf(chunk, start, end);
    let known = this.#young.get(hash);
    if (known === undefined) {
      known = this.#old.get(hash);
      if (known !== undefined) this.#keep(known);
    }
    if (known === undefined || !sameBytes(known.tail, chunk, start, end)) {
      known = this.#make(chunk, start, textEnd, end, hash);
      this.#keep(known);
    } else if (known.generation !== this.#classifier.generation) {
      known.sql = this.#classifier.classifyBytes(chunk, start, textEnd);
      known.generation = this.#classifier.generation;
    }
    known.uses += 1;
    return known;
  }

  /** The statement that clients whose settings read texts alike share. */
  statementOf(text: KnownText, scope: string): ServerStatement {
    let statement = text.statements.get(scope);
    if (statement === undefined) {
      statement = this.statementAlone(text.tail, scope);
      text.statements.set(scope, statement);
    }
    return statement;
  }

  /** A statement that nobody shares. */
  statementAlone(tail: Buffer, scope: string): ServerStatement {
    const id = this.#nextId();
    const serverName = `${SERVER_NAME_PREFIX}${id}`;
    const target = { kind: 'statement', name: serverName } as const;
    return {
      id,
      serverName,
      tail,
      scope,
      parse: frontend.parseWithTail(serverName, tail),
      describe: frontend.describe(target),
      close: frontend.close(target),
    };
  }

  #make(chunk: Buffer, start: number, textEnd: number, end: number, hash: number): KnownText {
    const sql = this.#classifier.classifyBytes(chunk, start, textEnd);
    const tail = Buffer.from(chunk.subarray(start, end));
    return { tail, hash, sql, generation: this.#classifier.generation, uses: 0, statements: new Map() };
  }

  /** Two generations: what was not used in the last one goes. */
  #keep(text: KnownText): void {
    if (this.#young.size >= MAX_TEXTS / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text.hash, text);
  }
}

/** True for a text without a name that comes again and again and gains from being prepared: one query or change of data. */
export function isWorthPreparing(text: KnownText): boolean {
  if (text.uses < REPEATED) return false;
  const { statements } = text.sql.unit;
  const only = statements.length === 1 ? statements[0] : undefined;
  if (only === undefined) return false;
  if (only.kind === 'read') return only.reason.code !== 'explain-read';
  return only.kind === 'write' && DATA_CHANGES.has(only.reason.code);
}

const DATA_CHANGES: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge', 'writing-cte', 'row-lock']);

/** FNV-1a. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash;
}

function sameBytes(a: Buffer, b: Buffer, start: number, end: number): boolean {
  return a.length === end - start && b.compare(a, 0, a.length, start, end) === 0;
}
