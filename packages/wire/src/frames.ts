/**
 * Frames of protocol version 3: one type byte, a big-endian length that counts itself, the body.
 * The scanner only peeks the five header bytes; bodies are handed on as ranges of the chunks that the socket delivered.
 * Source: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS
 */

/** Bytes of a frame's header: type and length. */
export const HEADER_BYTES = 5;

/** PostgreSQL's own bound of a message (MaxAllocSize, src/include/utils/memutils.h). */
export const MAX_FRAME_BYTES = 0x3fffffff;

/** Bytes that cannot be a message of the protocol. The connection that sent them is beyond repair. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Receives what a scanner finds. A range is valid during the call only as far as the chunk is not changed; chunks never are. */
export interface FrameHandler {
  /** A whole frame, header included, in `chunk[start, end)`. */
  onFrame(type: number, chunk: Buffer, start: number, end: number): void;
  /** A part of a frame that spans chunks and whose type is streamed; the parts of one frame come in order, `last` closes it. */
  onPart(type: number, chunk: Buffer, start: number, end: number, last: boolean): void;
}

export interface ScannerLimits {
  /** Type bytes whose frames need not be whole if they are large: rows and copy data. */
  readonly streamed: ReadonlySet<number>;
  /**
   * From this size on. Smaller ones are put together, so that only a large one can be cut off in its middle when its sender is lost: whoever has been
   * sent a part of a frame can be told nothing more.
   */
  readonly streamedFromBytes: number;
  /** Greatest size of a frame that is put together from several chunks; 5 to MAX_FRAME_BYTES. */
  readonly maxAssembledBytes: number;
}

/**
 * Splits a stream of bytes into frames. `push` calls the handler synchronously and in order.
 * Throws ProtocolError on a length that no message can have, and on one beyond the limit.
 */
export class FrameScanner {
  readonly #handler: FrameHandler;
  readonly #limits: ScannerLimits;
  /** Chunks of a frame that is not whole yet, and their bytes. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Whole size of the pending frame; 0 while its header is not whole. */
  #needBytes = 0;
  /** Rest of the frame that is being streamed, and its type. */
  #streamLeft = 0;
  #streamType = 0;

  constructor(handler: FrameHandler, limits: ScannerLimits) {
    this.#handler = handler;
    this.#limits = limits;
  }

  /** True between frames: nothing half-received is held. */
  get atBoundary(): boolean {
    return this.#pendingBytes === 0 && this.#streamLeft === 0;
  }

  push(chunk: Buffer): void {
    let at = 0;
    if (this.#streamLeft > 0) at = this.#continueStream(chunk, at);
    if (this.#pendingBytes > 0) at = this.#continuePending(chunk, at);
    const length = chunk.length;
    while (length - at >= HEADER_BYTES) {
      const type = chunk[at] as number;
      const end = at + frameBytes(chunk, at);
      if (end > length) {
        at = this.#beginSpanning(type, chunk, at, end);
        break;
      }
      this.#handler.onFrame(type, chunk, at, end);
      at = end;
    }
    if (at < length) this.#hold(chunk.subarray(at));
  }

  #continueStream(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#streamLeft);
    this.#streamLeft -= end - at;
    if (end > at) this.#handler.onPart(this.#streamType, chunk, at, end, this.#streamLeft === 0);
    return end;
  }

  /** The header is whole, the frame is not: stream it or start to put it together. */
  #beginSpanning(type: number, chunk: Buffer, at: number, end: number): number {
    const bytes = end - at;
    if (this.#isStreamed(type, bytes)) {
      this.#streamType = type;
      this.#streamLeft = end - chunk.length;
      this.#handler.onPart(type, chunk, at, chunk.length, false);
    } else {
      this.#checkAssembled(bytes);
      this.#needBytes = bytes;
      this.#hold(chunk.subarray(at));
    }
    return chunk.length;
  }

  #isStreamed(type: number, bytes: number): boolean {
    return bytes >= this.#limits.streamedFromBytes && this.#limits.streamed.has(type);
  }

  #checkAssembled(bytes: number): void {
    if (bytes > this.#limits.maxAssembledBytes) {
      throw new ProtocolError(`message of ${bytes} bytes is over the limit of ${this.#limits.maxAssembledBytes}`);
    }
  }

  #hold(part: Buffer): void {
    this.#pending.push(part);
    this.#pendingBytes += part.length;
  }

  #continuePending(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#needBytes === 0) {
      const take = Math.min(chunk.length - at, HEADER_BYTES - this.#pendingBytes);
      if (take > 0) this.#hold(chunk.subarray(at, at + take));
      at += take;
      if (this.#pendingBytes < HEADER_BYTES) return at;
      const header = this.#takePending();
      const bytes = frameBytes(header, 0);
      if (bytes > HEADER_BYTES && this.#isStreamed(header[0] as number, bytes)) {
        this.#streamType = header[0] as number;
        this.#streamLeft = bytes - HEADER_BYTES;
        this.#handler.onPart(this.#streamType, header, 0, HEADER_BYTES, false);
        return this.#continueStream(chunk, at);
      }
      this.#checkAssembled(bytes);
      this.#needBytes = bytes;
      this.#hold(header);
    }
    const take = Math.min(chunk.length - at, this.#needBytes - this.#pendingBytes);
    if (take > 0) this.#hold(chunk.subarray(at, at + take));
    at += take;
    if (this.#pendingBytes === this.#needBytes) {
      this.#needBytes = 0;
      const frame = this.#takePending();
      this.#handler.onFrame(frame[0] as number, frame, 0, frame.length);
    }
    return at;
  }

  #takePending(): Buffer {
    const whole = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    return whole;
  }
}

/** Size of the frame that begins at `at`, header included. */
function frameBytes(chunk: Buffer, at: number): number {
  const length = chunk.readInt32BE(at + 1);
  if (length < 4 || length > MAX_FRAME_BYTES) throw new ProtocolError(`invalid message length ${length}`);
  return 1 + length;
}
