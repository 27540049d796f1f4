/** A value as it goes over the wire: text, bytes, or null. */
export type WireValue = string | Buffer | null;

const INITIAL_BYTES = 8 * 1024;
/** UTF-8 needs at most so many bytes for one unit of a JavaScript string. */
const MAX_BYTES_PER_UNIT = 3;

/** Puts messages of the extended protocol one behind the other, so that all of one turn go out in one write. */
export class LaneWriter {
  #buffer: Buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written since the last call. */
  take(): Buffer {
    const taken = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(taken, 0, 0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > INITIAL_BYTES * 16) this.#buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    return taken;
  }

  parse(name: string, text: string): void {
    const start = this.#begin(PARSE);
    this.#cstring(name);
    this.#cstring(text);
    this.#int16(0);
    this.#finish(start);
  }

  describeStatement(name: string): void {
    this.#aboutStatement(DESCRIBE, name);
  }

  closeStatement(name: string): void {
    this.#aboutStatement(CLOSE, name);
  }

  #aboutStatement(type: number, name: string): void {
    const start = this.#begin(type);
    this.#byte(STATEMENT);
    this.#cstring(name);
    this.#finish(start);
  }

  /** Bytes go as binary parameters, everything else as text; all results come as text. */
  bind(name: string, values: readonly WireValue[]): void {
    const start = this.#begin(BIND);
    this.#byte(0);
    this.#cstring(name);
    this.#int16(values.length);
    for (const value of values) this.#int16(typeof value === 'object' && value !== null ? 1 : 0);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    this.#int16(0);
    this.#finish(start);
  }

  /** Execute without a limit of rows, and the Sync that makes it a transaction of its own. */
  executeAndSync(): void {
    this.#reserve(EXECUTE_SYNC.length);
    EXECUTE_SYNC.copy(this.#buffer, this.#length);
    this.#length += EXECUTE_SYNC.length;
  }

  #value(value: WireValue): void {
    if (value === null) return this.#int32(-1);
    if (typeof value !== 'string') {
      this.#int32(value.length);
      this.#reserve(value.length);
      value.copy(this.#buffer, this.#length);
      this.#length += value.length;
      return;
    }
    this.#int32(0);
    const bytes = this.#text(value);
    this.#buffer.writeInt32BE(bytes, this.#length - bytes - 4);
  }

  #begin(type: number): number {
    this.#byte(type);
    this.#int32(0);
    return this.#length - 4;
  }

  #finish(start: number): void {
    this.#buffer.writeInt32BE(this.#length - start, start);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#buffer.writeUInt16BE(value, this.#length);
    this.#length += 2;
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#buffer.writeInt32BE(value, this.#length);
    this.#length += 4;
  }

  #cstring(text: string): void {
    this.#text(text);
    this.#byte(0);
  }

  /** Bytes written. */
  #text(text: string): number {
    this.#reserve(text.length * MAX_BYTES_PER_UNIT);
    const bytes = this.#buffer.write(text, this.#length, 'utf8');
    this.#length += bytes;
    return bytes;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

const code = (letter: string): number => letter.charCodeAt(0);
const PARSE = code('P');
const BIND = code('B');
const DESCRIBE = code('D');
const CLOSE = code('C');
const STATEMENT = code('S');
/** Execute of the unnamed portal, all rows; then Sync. */
const EXECUTE_SYNC = Buffer.from([code('E'), 0, 0, 0, 9, 0, 0, 0, 0, 0, code('S'), 0, 0, 0, 4]);
