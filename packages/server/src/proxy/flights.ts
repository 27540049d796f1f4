import { Backend, backend, type ErrorFields, ProtocolError, readErrorFields, type TransactionStatus } from '@understudy/wire';
import type { ClientStream } from './client-stream.ts';
import type { ClientUnit } from './client-unit.ts';
import { Deque } from './deque.ts';
import { notReplicated } from './errors.ts';
import type { Answer } from './expectations.ts';
import { endsInCommit, type Flight, isPreliminary } from './flight.ts';
import { renameInError } from './prepared.ts';
import type { ServerConnection, ServerConnectionOwner } from './server-connection.ts';

/** A unit that so many servers have failed is not run again. */
export const MAX_ATTEMPTS = 3;
/** Errors of a replica that the primary would not have: it was told to write, or replay got in the way of the read. */
export const TRY_ON_PRIMARY: ReadonlySet<string> = new Set(['25006', '40001', '40P01', '0A000', '57P01', '57P03', '58P01']);

/** Whom the answers concern. */
export interface FlightObserver {
  /** The primary is about to tell the client that a transaction has committed. */
  onCommitSeen(): void;
  /** A unit is answered whole; its ReadyForQuery goes to the client after this. */
  onFinished(flight: Flight, status: TransactionStatus): void;
  /** The ReadyForQuery is on its way: more may be sent. */
  onSettled(flight: Flight, status: TransactionStatus): void;
  /** A replica has refused a unit that the primary may take. */
  onRefused(flight: Flight, cause: ErrorFields): void;
  /** These units, which this connection has answered in vain, must be run once more, in this order. */
  onAgain(units: readonly ClientUnit[], from: ServerConnection): void;
  /** A connection is gone, with these units under way on it, and those that were to be run again anyway. */
  onConnectionLost(from: ServerConnection, flights: readonly Flight[], again: readonly ClientUnit[], why: Error): void;
  /** The server has ended the session, and the client was told why. */
  onSessionEnded(): void;
  /** A server takes bytes again. */
  onServerDrained(): void;
  /** Writes to the client; pauses the servers when it takes no more. */
  flushClient(): void;
}

/** Units under way, in order, and their answers on the way to the client. All of one moment are on one connection. */
export class Flights implements ServerConnectionOwner {
  readonly #observer: FlightObserver;
  readonly #client: ClientStream;
  readonly #flights = new Deque<Flight>();
  /** Units whose answers were thrown away, until the last of them has been answered. */
  #retrying: ClientUnit[] = [];
  /** The open transaction has written before the units under way. */
  readonly #wrote: () => boolean;

  constructor(observer: FlightObserver, client: ClientStream, wrote: () => boolean) {
    this.#observer = observer;
    this.#client = client;
    this.#wrote = wrote;
  }

  get size(): number {
    return this.#flights.size;
  }

  get head(): Flight | undefined {
    return this.#flights.peek();
  }

  get last(): Flight | undefined {
    return this.#flights.last();
  }

  push(flight: Flight): void {
    this.#flights.push(flight);
  }

  /** The proxy's own end of a split unit was answered. */
  dropHead(): void {
    this.#flights.shift();
  }

  onAnswer(from: ServerConnection, answer: Answer, type: number, chunk: Buffer, start: number, end: number): void {
    const flight = this.#flights.peek();
    if (flight === undefined || flight.from !== from) {
      from.destroy(new ProtocolError('an answer that no statement waits for'));
      return;
    }
    switch (answer) {
      case 'within':
      case 'completes':
        // In a simple Query the commit is done when its tag comes; before the client can see that, later reads must know of it.
        if (type === Backend.commandComplete && flight.unit.kind === 'query' && endsInCommit(flight, this.#wrote()))
          this.#observer.onCommitSeen();
        this.#forward(flight, type, chunk, start, end);
        return;
      case 'fails':
        this.#onError(flight, chunk, start, end);
        return;
      case 'ready':
        this.#onReady(flight, chunk, start, end);
        return;
    }
  }

  #forward(flight: Flight, type: number, chunk: Buffer, start: number, end: number): void {
    if (flight.again || flight.replaced !== null) return;
    flight.bytes += end - start;
    if (flight.held !== null) {
      if (isPreliminary(type)) {
        flight.held.push(chunk.subarray(start, end));
        return;
      }
      this.#release(flight);
    }
    flight.answered = true;
    this.#client.range(chunk, start, end);
  }

  /** From here on the client sees the answer, so the unit cannot be run elsewhere. */
  #release(flight: Flight): void {
    if (flight.held === null) return;
    for (const part of flight.held) this.#client.add(part);
    flight.answered ||= flight.held.length > 0;
    flight.held = null;
  }

  #onError(flight: Flight, chunk: Buffer, start: number, end: number): void {
    const fields = readErrorFields(chunk, start, end);
    // The server dies of it, in the middle of a commit perhaps: the statement has not failed, its outcome is unknown.
    if (fields.severity === 'PANIC') return;
    flight.failed = true;
    if (flight.again || flight.replaced !== null) return;
    if (isStalePlan(fields, chunk, start, end)) {
      for (const { statement } of flight.unit.messages) if (statement?.onServers) flight.from.prepared.retire(statement.onServers);
      if (flight.held !== null && flight.unit.attempts < MAX_ATTEMPTS && (flight.from.role === 'replica' || this.#flights.size === 1)) {
        this.#runAgain();
        return;
      }
    }
    if (flight.from.role === 'replica' && flight.held !== null && flight.unit.attempts < MAX_ATTEMPTS && TRY_ON_PRIMARY.has(fields.code)) {
      this.#observer.onRefused(flight, fields);
      this.#runAgain();
      return;
    }
    if (fields.severity === 'FATAL') {
      flight.fatal = true;
      // The server goes down: what that means for the client is decided when the connection is gone.
      if (fields.code.startsWith('57P0') && fields.code !== '57P05') return;
      this.#release(flight);
      this.#client.range(chunk, start, end);
      this.#observer.onSessionEnded();
      return;
    }
    this.#release(flight);
    flight.answered = true;
    const renamed = renameInError(fields, flight.unit.messages);
    if (renamed === null) this.#client.range(chunk, start, end);
    else this.#client.add(renamed);
  }

  /** Runs the unit, and those sent after it, once more when the server has answered them all. */
  #runAgain(): void {
    for (const other of this.#flights) {
      other.again = true;
      other.held = null;
    }
  }

  #onReady(flight: Flight, chunk: Buffer, start: number, end: number): void {
    const { from } = flight;
    if (flight.again) {
      this.#flights.shift();
      this.#retrying.push(flight.unit);
      if (this.#flights.size === 0) this.#observer.onAgain(this.#takeRetrying(), from);
      return;
    }
    this.#release(flight);
    this.#flights.shift();
    this.#observer.onFinished(flight, from.status);
    if (flight.replaced !== null) this.#client.add(flight.replaced.frame());
    this.#client.range(chunk, start, end);
    // A transaction that the grammar did not show must not stay open behind the session's back.
    if (from.role === 'replica' && from.status !== 'I' && flight.after === 'I')
      from.destroy(new Error('a read opened a transaction on a replica'));
    this.#observer.onSettled(flight, from.status);
  }

  #takeRetrying(): readonly ClientUnit[] {
    const units = this.#retrying;
    this.#retrying = [];
    return units;
  }

  onAside(from: ServerConnection, type: number, chunk: Buffer, start: number, end: number): void {
    const flight = this.#flights.peek();
    const mine = flight?.from === from ? flight : undefined;
    switch (type) {
      case Backend.noticeResponse:
        // The field that names the server's routine is the same in every language.
        if (mine !== undefined && chunk.subarray(start, end).includes('SyncRepWaitForLSN')) mine.replaced = notReplicated();
        else if (mine === undefined ? from.role === 'primary' : !mine.again) this.#notice(mine, chunk, start, end);
        return;
      case Backend.parameterStatus: {
        const { name, value } = backend.readParameterStatus(chunk, start, end);
        if (from.role === 'primary' && name !== 'in_hot_standby' && this.#client.isNews(name, value)) this.#client.range(chunk, start, end);
        return;
      }
      case Backend.notificationResponse:
        if (from.role === 'primary') this.#client.range(chunk, start, end);
        return;
      default:
        // An error out of turn says why the connection will end, which is not the client's concern.
        return;
    }
  }

  #notice(flight: Flight | undefined, chunk: Buffer, start: number, end: number): void {
    if (flight !== undefined && flight.held !== null) flight.held.push(chunk.subarray(start, end));
    else this.#client.range(chunk, start, end);
  }

  onChunkEnd(_from: ServerConnection): void {
    const flight = this.#flights.peek();
    // A client that asked for answers before its Sync waits for them.
    if (flight !== undefined && !flight.unit.complete) this.#release(flight);
    this.#observer.flushClient();
  }

  onDrain(): void {
    this.#observer.onServerDrained();
  }

  onLost(from: ServerConnection, why: Error): void {
    const lost: Flight[] = [];
    for (const flight of this.#flights.clear()) {
      if (flight.from === from) lost.push(flight);
      else this.#flights.push(flight);
    }
    this.#observer.onConnectionLost(from, lost, lost.length > 0 ? this.#takeRetrying() : [], why);
  }
}

/** The definition behind a prepared statement has changed (0A000 "cached plan must not change result type"): prepared anew it will do. */
export function isStalePlan(fields: ErrorFields, chunk: Buffer, start: number, end: number): boolean {
  return fields.code === '0A000' && chunk.subarray(start, end).includes('RevalidateCachedQuery');
}
