import type { EventEmitter } from 'node:events';
import type { CachedStatement } from '@understudy/core/sql';
import pg from 'pg';
import type { QueryError } from '../errors.ts';
import type { ConnectionOwner, ServerConnection } from '../servers/connection.ts';
import { handleOf } from '../servers/handle.ts';
import { LaneWriter, type WireValue } from './lane-writer.ts';
import type { OpenResult } from './values.ts';

/** Reads under way on one lane at most. */
const MAX_DEPTH = 64;
/** Statements prepared on one lane at most; the oldest is closed for a new one. */
const MAX_STATEMENTS = 200;

/** One plain read of one caller. Exactly one of the answers is given, later. */
export interface LaneRead {
  readonly text: string;
  readonly values: readonly WireValue[];
  readonly statement: CachedStatement;
  readonly rowMode: string | undefined;
  readonly types: { getTypeParser(oid: number, format: 'text'): (text: string) => unknown };
  answered(result: pg.QueryResult): void;
  /** The server refused it, or a parser of types failed on its rows. */
  failed(error: QueryError): void;
  /** Nothing came of it: it must be run elsewhere. `left`: the lane works on, but not quickly. */
  lost(why: 'left' | 'server'): void;
  noticed(notice: unknown): void;
}

interface Prepared {
  readonly name: string;
  fields: readonly pg.FieldDef[] | null;
  /** An empty row, to be copied. */
  template: object;
}

/** A read under way. */
interface Ride {
  /** Null once it has left: its answer is read and thrown away. */
  read: LaneRead | null;
  readonly prepared: Prepared;
  readonly text: string;
  readonly sentAtMs: number;
  result: OpenResult | null;
  problem: QueryError | null;
}

/** pg's connection: events by the names of messages, and the stream to write to. */
type Wire = EventEmitter & { readonly stream: { write(bytes: Buffer): boolean } };

/** What pg's client would do with answers; notices, notifications and the end of the connection stay its business. */
const TAKEN_OVER = [
  'errorMessage',
  'readyForQuery',
  'rowDescription',
  'dataRow',
  'portalSuspended',
  'emptyQuery',
  'commandComplete',
  'parseComplete',
  'copyInResponse',
  'copyData',
];

/**
 * A connection on which quick reads of many callers are under way at once, each with a Sync and so a transaction of its own, answered in the order in which they
 * were sent. Their texts are prepared once. A read can leave it at any moment.
 */
export class Lane implements ConnectionOwner {
  readonly connection: ServerConnection;
  readonly #wire: Wire;
  readonly #rides: Ride[] = [];
  readonly #statements: Map<string, Prepared> = new Map();
  readonly #out: LaneWriter = new LaneWriter();
  readonly #onLost: (lane: Lane) => void;
  #statementCount = 0;
  #flushing = false;
  #gone = false;
  emptySinceMs: number;

  /** The connection is the lane's alone from now on, until it ends. */
  constructor(connection: ServerConnection, nowMs: number, onLost: (lane: Lane) => void) {
    this.connection = connection;
    this.emptySinceMs = nowMs;
    this.#onLost = onLost;
    connection.owner = this;
    this.#wire = (connection.client as unknown as { connection: Wire }).connection;
    this.#takeOver();
    handleOf(connection.client).unref();
  }

  get depth(): number {
    return this.#rides.length;
  }

  get hasRoom(): boolean {
    return !this.#gone && !this.connection.lost && this.#rides.length < MAX_DEPTH;
  }

  /** When the read that is being answered was sent; null: there is none. */
  get busySinceMs(): number | null {
    return this.#rides[0]?.sentAtMs ?? null;
  }

  /** Goes out with all others of this turn. */
  send(read: LaneRead, nowMs: number): void {
    const prepared = this.#statements.get(read.text) ?? this.#prepare(read.text);
    this.#out.bind(prepared.name, read.values);
    this.#out.executeAndSync();
    if (this.#rides.length === 0) handleOf(this.connection.client).ref();
    this.#rides.push({ read, prepared, text: read.text, sentAtMs: nowMs, result: null, problem: null });
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    if (!this.#gone && this.#out.length > 0) this.#wire.stream.write(this.#out.take());
  };

  #prepare(text: string): Prepared {
    if (this.#statements.size >= MAX_STATEMENTS) {
      for (const [oldest, { name }] of this.#statements) {
        this.#statements.delete(oldest);
        this.#out.closeStatement(name);
        break;
      }
    }
    this.#statementCount += 1;
    const prepared: Prepared = { name: `understudy_${this.#statementCount}`, fields: null, template: {} };
    this.#statements.set(text, prepared);
    this.#out.parse(prepared.name, text);
    this.#out.describeStatement(prepared.name);
    return prepared;
  }

  /** All reads but the one that is being answered go elsewhere. The statement that holds them up; null when there is none. */
  shed(): CachedStatement | null {
    const [first, ...others] = this.#rides;
    for (const ride of others) leave(ride, 'left');
    return first?.read?.statement ?? null;
  }

  /** Cuts the connection; what is under way is lost here, and will be told so. */
  destroy(): void {
    this.connection.destroy();
  }

  // ---- what the connection tells

  #takeOver(): void {
    const wire = this.#wire;
    for (const name of TAKEN_OVER) {
      // The connection notes the transaction status before anybody else.
      const own = name === 'readyForQuery' ? wire.listeners(name).slice(0, 1) : [];
      wire.removeAllListeners(name);
      for (const listener of own) wire.on(name, listener as () => void);
    }
    wire.on('rowDescription', (message: { fields: pg.FieldDef[] }) => this.#described(message.fields));
    wire.on('noData', () => this.#described([]));
    wire.on('dataRow', (message: { fields: (string | null)[] }) => this.#row(message.fields));
    wire.on('commandComplete', (message: { text: string }) => this.#completed(message));
    wire.on('errorMessage', (error: QueryError) => this.#refused(error));
    wire.on('readyForQuery', () => this.#ready());
    for (const name of ['portalSuspended', 'copyInResponse', 'copyOutResponse', 'emptyQuery']) wire.on(name, () => this.destroy());
  }

  #described(fields: readonly pg.FieldDef[]): void {
    const prepared = this.#rides[0]?.prepared;
    if (prepared === undefined) return this.destroy();
    prepared.fields = fields;
    prepared.template = Object.fromEntries(fields.map(({ name }) => [name, null]));
  }

  #row(values: readonly (string | null)[]): void {
    const ride = this.#rides[0];
    if (ride === undefined) return this.destroy();
    if (ride.read === null || ride.problem !== null) return;
    try {
      const result = (ride.result ??= resultFor(ride.read, ride.prepared));
      result.rows.push(result.parseRow(values) as never);
    } catch (error) {
      // A parser of types that the application has given.
      ride.problem = error as QueryError;
    }
  }

  #completed(message: { readonly text: string }): void {
    const ride = this.#rides[0];
    if (ride === undefined) return this.destroy();
    if (ride.read === null) return;
    (ride.result ??= resultFor(ride.read, ride.prepared)).addCommandComplete(message);
  }

  #refused(error: QueryError): void {
    const ride = this.#rides[0];
    // The end of the session, which is told to all by itself.
    if (ride === undefined || error.severity === 'FATAL' || error.severity === 'PANIC') return this.destroy();
    ride.problem = error;
    // It was not prepared, or is no longer what it was.
    const unusable = ride.prepared.fields === null || STALE_PLAN.has(error.code ?? '');
    if (!unusable || this.#statements.get(ride.text) !== ride.prepared) return;
    this.#statements.delete(ride.text);
    this.#out.closeStatement(ride.prepared.name);
  }

  #ready(): void {
    const ride = this.#rides.shift();
    if (ride === undefined || this.connection.status !== 'I') return this.destroy();
    if (this.#rides.length === 0) {
      this.emptySinceMs = ride.sentAtMs;
      handleOf(this.connection.client).unref();
    }
    const { read, problem, result } = ride;
    if (read === null) return;
    if (problem === null) read.answered(result as OpenResult);
    else if (STALE_PLAN.has(problem.code ?? '')) read.lost('left');
    else read.failed(problem);
  }

  onNotice(notice: unknown): void {
    this.#rides[0]?.read?.noticed(notice);
  }

  onNotification(): void {}

  onIdle(): void {}

  onLost(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onLost(this);
    for (const ride of this.#rides.splice(0)) leave(ride, 'server');
  }
}

/** Of a statement that was prepared: its result has another shape now, or it is not there any more. */
const STALE_PLAN: ReadonlySet<string> = new Set(['0A000', '26000']);

function leave(ride: Ride, why: 'left' | 'server'): void {
  const { read } = ride;
  ride.read = null;
  read?.lost(why);
}

/** As pg makes it, without describing the same columns again and again. */
function resultFor({ rowMode, types }: LaneRead, { fields, template }: Prepared): OpenResult {
  const result = new pg.Result(rowMode as string, types as never) as unknown as OpenResult;
  if (fields === null) return result;
  result.fields = fields.slice();
  // Asked anew each time: an application may change its parsers at any time.
  result._parsers = fields.map(field => types.getTypeParser(field.dataTypeID, 'text'));
  result._prebuiltEmptyResultObject = template;
  return result;
}
