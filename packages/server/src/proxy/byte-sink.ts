import type { Socket } from 'node:net';

/** Below this, one copied buffer is cheaper than a vectored write. */
const COPY_BYTES = 16 * 1024;

/**
 * Collects what goes to one socket and hands it over in one write. Neighbouring ranges of one chunk become one range, so rows that
 * pass through are never copied.
 */
export class ByteSink {
  readonly #socket: Socket;
  #parts: Buffer[] = [];
  #bytes = 0;
  #chunk: Buffer | null = null;
  #start = 0;
  #end = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** A range of a chunk that came from another socket. */
  range(chunk: Buffer, start: number, end: number): void {
    if (chunk === this.#chunk && start === this.#end) {
      this.#end = end;
      return;
    }
    this.#closeRange();
    this.#chunk = chunk;
    this.#start = start;
    this.#end = end;
  }

  add(part: Buffer): void {
    this.#closeRange();
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  /** Writes what is collected. False when the socket's buffer is full: stop until it drains. */
  flush(): boolean {
    this.#closeRange();
    const parts = this.#parts;
    if (parts.length === 0) return !this.#socket.writableNeedDrain;
    this.#parts = [];
    const bytes = this.#bytes;
    this.#bytes = 0;
    if (!this.#socket.writable) return true;
    if (parts.length === 1) return this.#socket.write(parts[0] as Buffer);
    if (bytes <= COPY_BYTES) return this.#socket.write(Buffer.concat(parts, bytes));
    this.#socket.cork();
    let open = true;
    for (const part of parts) open = this.#socket.write(part);
    this.#socket.uncork();
    return open;
  }

  #closeRange(): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#chunk = null;
    this.#parts.push(this.#start === 0 && this.#end === chunk.length ? chunk : chunk.subarray(this.#start, this.#end));
    this.#bytes += this.#end - this.#start;
  }
}
