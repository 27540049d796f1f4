import { ProtocolError } from './frames.ts';

/** Puts a message together; the length is filled in at the end. */
export class MessageWriter {
  #parts: Buffer[] = [];
  #bytes = 0;

  int16(value: number): this {
    const part = Buffer.allocUnsafe(2);
    part.writeUInt16BE(value & 0xffff, 0);
    return this.raw(part);
  }

  int32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeInt32BE(value | 0, 0);
    return this.raw(part);
  }

  byte(value: number): this {
    return this.raw(Buffer.of(value));
  }

  /** A string with its closing zero. A zero inside would end it early and shift the meaning of what follows. */
  cstring(text: string | Buffer): this {
    const part = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
    if (part.includes(0)) throw new ProtocolError('a string of the protocol cannot contain a zero byte');
    return this.raw(part).raw(ZERO);
  }

  raw(part: Buffer): this {
    this.#parts.push(part);
    this.#bytes += part.length;
    return this;
  }

  /** The message with its type byte and length. */
  frame(type: number): Buffer {
    const header = Buffer.allocUnsafe(5);
    header[0] = type;
    header.writeInt32BE(this.#bytes + 4, 1);
    return Buffer.concat([header, ...this.#parts], this.#bytes + 5);
  }

  /** A message of the startup phase: length, no type byte. */
  untyped(): Buffer {
    const header = Buffer.allocUnsafe(4);
    header.writeInt32BE(this.#bytes + 4, 0);
    return Buffer.concat([header, ...this.#parts], this.#bytes + 4);
  }
}

const ZERO = Buffer.of(0);

/** Reads the body of a message. Every read is checked against the message's end: ProtocolError beyond it. */
export class MessageReader {
  readonly #chunk: Buffer;
  readonly #end: number;
  #at: number;

  constructor(chunk: Buffer, start: number, end: number) {
    this.#chunk = chunk;
    this.#at = start;
    this.#end = end;
  }

  get offset(): number {
    return this.#at;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  byte(): number {
    return this.#chunk[this.#take(1)] as number;
  }

  int16(): number {
    return this.#chunk.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#chunk.readInt32BE(this.#take(4));
  }

  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#chunk.subarray(at, at + count);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  cstring(encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const zero = this.#chunk.indexOf(0, this.#at);
    if (zero < 0 || zero >= this.#end) throw new ProtocolError('a string of the message has no end');
    const text = this.#chunk.toString(encoding, this.#at, zero);
    this.#at = zero + 1;
    return text;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count < 0 || at + count > this.#end) throw new ProtocolError('the message is shorter than its content');
    this.#at = at + count;
    return at;
  }
}
