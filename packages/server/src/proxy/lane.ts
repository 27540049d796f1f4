import { performance } from 'node:perf_hooks';
import { Backend, type ErrorFields, ProtocolError, readErrorFields } from '@understudy/wire';
import type { ClientUnit } from './client-unit.ts';
import { Deque } from './deque.ts';
import type { Answer } from './expectations.ts';
import { isStalePlan, TRY_ON_PRIMARY } from './flights.ts';
import { renameInError } from './prepared.ts';
import { type SendContext, sendUnit } from './send-unit.ts';
import type { ServerConnection, ServerConnectionOwner } from './server-connection.ts';

/** Whose read a lane carries. Each is told exactly one thing, and nothing after {@link LaneRead.rider} was set to null. */
export interface LaneRider {
  /** The read is answered whole, its ReadyForQuery included; `serviceMs` is the time that the server spent on it. */
  onLaneAnswer(read: LaneRead, from: ServerConnection, serviceMs: number): void;
  /** The server refused the read, and another may take it. */
  onLaneRefusal(read: LaneRead, from: ServerConnection, cause: ErrorFields): void;
  /** The lane cannot carry the read any further: it must be run alone. */
  onLaneLeft(read: LaneRead, from: ServerConnection, why: 'lost' | 'shed' | 'too-large'): void;
}

/** One read in a lane. Its answer is kept here until it is whole, so that it can be run elsewhere as long as its client has seen nothing. */
export interface LaneRead {
  readonly unit: ClientUnit;
  /** Null: the client has been answered otherwise or is gone; what still comes is dropped. */
  rider: LaneRider | null;
  readonly sentAtMs: number;
  /** The answer: neighbouring ranges of one chunk are one part. */
  readonly parts: Buffer[];
  chunk: Buffer | null;
  start: number;
  end: number;
  bytes: number;
  refusal: ErrorFields | null;
}

/** An answer larger than this is not kept in memory: the read is run alone, where the client's own pace counts. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** Reads under way at once, at least and at most. */
const DEPTH_MIN = 4;
const DEPTH_MAX = 256;
/**
 * A read should be through within this. How many are let in follows from how long the server works on each, not from how long they wait: where many wait
 * since the machine has no more to give, a connection for each of them would take even that away.
 */
const GOOD_SOJOURN_MS = 50;
/** What a read is taken to cost before the lane has seen any. */
const FIRST_SERVICE_MS = 1;
/** Weight of the newest read in the moving average. */
const SERVICE_WEIGHT = 1 / 16;
/** Once the first read has kept the others waiting for so long, they go elsewhere. */
const STALL_MS = 100;

/**
 * A server connection that many clients' autocommit reads share at the same time, as a pipeline with one Sync each. Answers come in the order
 * of the reads; whatever does not fit that order exactly kills the connection, since the next row could be another client's.
 */
export class Lane implements ServerConnectionOwner {
  readonly connection: ServerConnection;
  readonly #sending: SendContext;
  readonly #reads = new Deque<LaneRead>();
  readonly #onEmpty: (lane: Lane) => void;
  readonly #onClosed: (lane: Lane) => void;
  /** When the first read came to the head. */
  #headSinceMs = 0;
  #serviceMs = FIRST_SERVICE_MS;
  /** No more reads: the lane ends when those on it are answered. */
  closing = false;
  emptySinceMs: number = performance.now();

  constructor(connection: ServerConnection, sending: SendContext, onEmpty: (lane: Lane) => void, onClosed: (lane: Lane) => void) {
    this.connection = connection;
    this.#sending = sending;
    this.#onEmpty = onEmpty;
    this.#onClosed = onClosed;
    connection.owner = this;
  }

  get depth(): number {
    return this.#reads.size;
  }

  hasRoom(nowMs: number): boolean {
    if (this.closing || this.connection.lost || this.#reads.size >= depthFor(this.#serviceMs)) return false;
    // Somebody waits for a connection of his own: the lane runs empty and is given to him.
    if (this.connection.pool?.lanesMustYield) return false;
    return this.#reads.size === 0 || nowMs - this.#headSinceMs < STALL_MS;
  }

  /** Puts a read behind the others. The bytes are written by the caller's flush. */
  send(unit: ClientUnit, rider: LaneRider, nowMs: number): LaneRead {
    const read: LaneRead = { unit, rider, sentAtMs: nowMs, parts: [], chunk: null, start: 0, end: 0, bytes: 0, refusal: null };
    if (this.#reads.size === 0) this.#headSinceMs = nowMs;
    this.#reads.push(read);
    sendUnit(unit, this.connection, this.#sending);
    return read;
  }

  /** Lets the others go elsewhere when the first one takes too long. */
  shedIfStalled(nowMs: number): void {
    if (this.#reads.size === 0 || nowMs - this.#headSinceMs < STALL_MS) return;
    let first = true;
    for (const read of this.#reads) {
      if (!first) leave(read, this.connection, 'shed');
      first = false;
    }
  }

  /** Ends the lane at once; its reads go elsewhere. */
  destroy(why: Error): void {
    this.connection.destroy(why);
  }

  onAnswer(_from: ServerConnection, answer: Answer, type: number, chunk: Buffer, start: number, end: number): void {
    const read = this.#reads.peek();
    if (read === undefined) return this.destroy(new ProtocolError('an answer that no read waits for'));
    switch (answer) {
      case 'within':
      case 'completes':
        return this.#take(read, chunk, start, end);
      case 'fails':
        return this.#fails(read, chunk, start, end);
      case 'ready':
        return this.#ready(read, type, chunk, start, end);
    }
  }

  #take(read: LaneRead, chunk: Buffer, start: number, end: number): void {
    if (read.rider === null) return;
    read.bytes += end - start;
    if (read.bytes > MAX_ANSWER_BYTES) {
      leave(read, this.connection, 'too-large');
      this.destroy(new Error('an answer was too large for a lane'));
      return;
    }
    if (read.chunk === chunk && read.end === start) {
      read.end = end;
      return;
    }
    closeRange(read);
    read.chunk = chunk;
    read.start = start;
    read.end = end;
  }

  #fails(read: LaneRead, chunk: Buffer, start: number, end: number): void {
    const fields = readErrorFields(chunk, start, end);
    // The server ends the connection: what that means is decided when it is gone.
    if (fields.severity === 'FATAL' || fields.severity === 'PANIC') return;
    const stale = isStalePlan(fields, chunk, start, end);
    if (stale)
      for (const { statement } of read.unit.messages) if (statement?.onServers) this.connection.prepared.retire(statement.onServers);
    if (stale || TRY_ON_PRIMARY.has(fields.code)) {
      read.refusal = fields;
      return;
    }
    const renamed = renameInError(fields, read.unit.messages);
    if (renamed === null) this.#take(read, chunk, start, end);
    else this.#take(read, renamed, 0, renamed.length);
  }

  #ready(read: LaneRead, type: number, chunk: Buffer, start: number, end: number): void {
    if (type !== Backend.readyForQuery || this.connection.status !== 'I') {
      return this.destroy(new ProtocolError('a read left a transaction open'));
    }
    const now = performance.now();
    const serviceMs = now - this.#headSinceMs;
    this.#take(read, chunk, start, end);
    closeRange(read);
    this.#reads.shift();
    this.#headSinceMs = now;
    this.#serviceMs += (serviceMs - this.#serviceMs) * SERVICE_WEIGHT;
    if (this.#reads.size === 0) this.emptySinceMs = now;
    const { rider } = read;
    read.rider = null;
    if (rider !== null && read.refusal !== null) rider.onLaneRefusal(read, this.connection, read.refusal);
    else if (rider !== null) rider.onLaneAnswer(read, this.connection, serviceMs);
    if (this.#reads.size === 0) this.#onEmpty(this);
  }

  onAside(_from: ServerConnection, type: number, chunk: Buffer, start: number, end: number): void {
    const read = this.#reads.peek();
    if (type === Backend.noticeResponse && read !== undefined) this.#take(read, chunk, start, end);
  }

  onChunkEnd(): void {}

  onDrain(): void {}

  onLost(): void {
    this.closing = true;
    this.#onClosed(this);
    for (const read of this.#reads.clear()) leave(read, this.connection, 'lost');
  }
}

/** How many reads of such a length are through in time. */
function depthFor(serviceMs: number): number {
  return Math.min(DEPTH_MAX, Math.max(DEPTH_MIN, GOOD_SOJOURN_MS / serviceMs));
}

function closeRange(read: LaneRead): void {
  const { chunk, start, end } = read;
  if (chunk === null) return;
  read.parts.push(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
  read.chunk = null;
}

function leave(read: LaneRead, from: ServerConnection, why: 'lost' | 'shed' | 'too-large'): void {
  const { rider } = read;
  read.rider = null;
  rider?.onLaneLeft(read, from, why);
}
