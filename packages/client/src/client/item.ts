import { performance } from 'node:perf_hooks';
import type { CachedStatement, TransactionState } from '@understudy/core/sql';
import type { SessionCausality } from '@understudy/core/routing';
import type { QueryError } from '../errors.ts';
import type { ReadNeed } from '@understudy/core/routing';

type Callback = (error: QueryError | null | undefined, result?: unknown) => void;

/** What pg's query() takes as an object; read property by property, as some libraries hand in objects with getters. */
export interface QueryObject {
  readonly text?: string;
  readonly name?: string;
  readonly values?: unknown[];
  readonly rowMode?: string;
  readonly types?: unknown;
  readonly queryMode?: string;
  readonly binary?: boolean;
  readonly rows?: number;
  readonly portal?: string;
  readonly query_timeout?: number;
  readonly callback?: Callback;
}

/** A query that speaks to the connection itself: cursors, streams, COPY, pg's own Query. */
export interface Submittable {
  readonly text?: string;
  readonly name?: string;
  readonly cursor?: { readonly text?: string };
  callback?: Callback;
  readonly _result?: { _types?: unknown };
  submit(connection: unknown): unknown;
  handleError(error: unknown, connection: unknown): void;
}

/** One call of query(). */
export interface Item {
  readonly what:
    | { readonly kind: 'plain'; readonly query: QueryObject }
    | { readonly kind: 'submittable'; readonly submittable: Submittable };
  text: string;
  /** Tells the caller. A submittable tells its own. */
  readonly done: Callback;
  /** Whose reads and writes it counts among. */
  readonly session: SessionCausality;
  /** The caller takes tokens: a commit is told when the token covers it. */
  readonly settle: (() => Promise<void>) | null;
  statement: CachedStatement | null;
  /** What it must see if it reads; null until it is first looked at. */
  need: ReadNeed | null;
  readonly arrivedAtMs: number;
  /** When it was first looked at. */
  beganAtMs: number;
  sentAtMs: number;
  /** How often it was sent. */
  attempts: number;
  /** Set when it must not go to a replica again, with the reason. */
  primaryBecause: string | null;
  /** It goes on no shared connection any more. */
  alone: boolean;
  /** Transaction status before it. */
  before: TransactionState;
}

export interface ItemOrigin {
  readonly session: SessionCausality;
  readonly settle: (() => Promise<void>) | null;
}

/** What query() returns, and the item to queue. */
export interface Call {
  readonly item: Item;
  readonly result: unknown;
}

/** Reads the arguments of query() as pg does. Throws TypeError where pg does. */
export function readCall(config: unknown, values: unknown, callback: unknown, origin: ItemOrigin): Call {
  if (config === null || config === undefined) throw new TypeError('Client was passed a null or undefined query');
  if (typeof (config as Submittable).submit === 'function') return submittableCall(config as Submittable, values, callback, origin);
  const given: QueryObject = typeof config === 'string' ? { text: config } : (config as QueryObject);
  const last = typeof values === 'function' ? values : (callback ?? given.callback);
  if (last !== undefined && last !== null && typeof last !== 'function') throw new TypeError('callback is not a function');
  const query: QueryObject =
    typeof values === 'function' || values === undefined || values === null ? copyOf(given) : copyOf(given, values);
  if (typeof last === 'function') {
    return { item: newItem({ kind: 'plain', query }, query.text ?? '', last as Callback, origin), result: undefined };
  }
  let done: Callback = ignore;
  const result = new Promise((resolve, reject) => {
    done = (error, answer) => (error ? reject(error) : resolve(answer));
  }).catch((error: Error) => {
    // In place of the stack that leads to a socket, one that leads to the caller.
    Error.captureStackTrace(error);
    throw error;
  });
  return { item: newItem({ kind: 'plain', query }, query.text ?? '', done, origin), result };
}

function submittableCall(submittable: Submittable, values: unknown, callback: unknown, origin: ItemOrigin): Call {
  if (!submittable.callback) {
    if (typeof values === 'function') submittable.callback = values as Callback;
    else if (typeof callback === 'function') submittable.callback = callback as Callback;
  }
  const text = submittable.text ?? submittable.cursor?.text ?? '';
  const fail: Callback = error => {
    if (error) process.nextTick(() => submittable.handleError(error, null));
  };
  return { item: newItem({ kind: 'submittable', submittable }, text, fail, origin), result: submittable };
}

function copyOf(given: QueryObject, values: unknown = given.values): QueryObject {
  const { text, name, rowMode, types, queryMode, binary, rows, portal, query_timeout } = given;
  return { text, name, values, rowMode, types, queryMode, binary, rows, portal, query_timeout } as QueryObject;
}

function newItem(what: Item['what'], text: string, done: Callback, { session, settle }: ItemOrigin): Item {
  return {
    what,
    text,
    done,
    session,
    settle,
    statement: null,
    need: null,
    arrivedAtMs: performance.now(),
    beganAtMs: 0,
    sentAtMs: 0,
    attempts: 0,
    primaryBecause: null,
    alone: false,
    before: 'I',
  };
}

function ignore(): void {}
