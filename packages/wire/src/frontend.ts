import { MessageReader, MessageWriter } from './bytes.ts';
import { HEADER_BYTES, ProtocolError } from './frames.ts';
import { Frontend } from './types.ts';

/**
 * Messages of the client: what a proxy reads of them, and the ones that it sends itself.
 * Names of statements and portals are kept as latin1 text: one character a byte, so that any encoding comes out as it went in.
 */

export interface ParseMessage {
  readonly name: string;
  readonly text: string;
  /** Number of parameter types that the client gave, and those OIDs. */
  readonly parameterTypes: readonly number[];
}

export interface BindTarget {
  readonly portal: string;
  readonly statement: string;
}

export interface NamedTarget {
  readonly kind: 'statement' | 'portal';
  readonly name: string;
}

export interface ExecuteMessage {
  readonly portal: string;
  /** 0 means all rows. */
  readonly maxRows: number;
}

const reader = (frame: Buffer, start: number, end: number): MessageReader => new MessageReader(frame, start + HEADER_BYTES, end);

/** Text of a Query message. */
export function readQuery(frame: Buffer, start = 0, end: number = frame.length): string {
  return reader(frame, start, end).cstring();
}

export function readParse(frame: Buffer, start = 0, end: number = frame.length): ParseMessage {
  const r = reader(frame, start, end);
  const name = r.cstring('latin1');
  const text = r.cstring();
  const count = r.int16();
  const parameterTypes: number[] = [];
  for (let i = 0; i < count; i++) parameterTypes.push(r.int32());
  return { name, text, parameterTypes };
}

export function readBindTarget(frame: Buffer, start = 0, end: number = frame.length): BindTarget {
  const r = reader(frame, start, end);
  return { portal: r.cstring('latin1'), statement: r.cstring('latin1') };
}

/** Target of a Describe or Close message. */
export function readNamedTarget(frame: Buffer, start = 0, end: number = frame.length): NamedTarget {
  const r = reader(frame, start, end);
  const kind = r.byte();
  if (kind !== 0x53 && kind !== 0x50) throw new ProtocolError(`a message names neither a statement nor a portal: ${kind}`);
  return { kind: kind === 0x53 ? 'statement' : 'portal', name: r.cstring('latin1') };
}

export function readExecute(frame: Buffer, start = 0, end: number = frame.length): ExecuteMessage {
  const r = reader(frame, start, end);
  return { portal: r.cstring('latin1'), maxRows: r.int32() };
}

export function readSaslInitialResponse(frame: Buffer, start = 0, end: number = frame.length): { mechanism: string; data: Buffer } {
  const r = reader(frame, start, end);
  const mechanism = r.cstring();
  const length = r.int32();
  return { mechanism, data: length < 0 ? Buffer.alloc(0) : r.bytes(length) };
}

/** Body of a SASLResponse message. */
export function readSaslResponse(frame: Buffer, start = 0, end: number = frame.length): Buffer {
  return reader(frame, start, end).rest();
}

const latin1 = (name: string): Buffer => Buffer.from(name, 'latin1');

export function query(text: string): Buffer {
  return new MessageWriter().cstring(text).frame(Frontend.query);
}

export function parse(name: string, text: string, parameterTypes: readonly number[] = []): Buffer {
  const w = new MessageWriter().cstring(latin1(name)).cstring(text).int16(parameterTypes.length);
  for (const oid of parameterTypes) w.int32(oid);
  return w.frame(Frontend.parse);
}

/** A Parse of this name with the text and types as they came: what stands behind the name of another Parse. */
export function parseWithTail(name: string, tail: Buffer): Buffer {
  return new MessageWriter().cstring(latin1(name)).raw(tail).frame(Frontend.parse);
}

/** Where the parameters of a Bind begin: behind the names of portal and statement. */
export function bindTailStart(chunk: Buffer, start: number, end: number): number {
  const portalEnd = chunk.indexOf(0, start + HEADER_BYTES);
  const statementEnd = portalEnd < 0 ? -1 : chunk.indexOf(0, portalEnd + 1);
  if (statementEnd < 0 || statementEnd >= end) throw new ProtocolError('a string of the message has no end');
  return statementEnd + 1;
}

/** The beginning of the same Bind for another statement name; the rest follows from {@link bindTailStart}, so that parameters are not copied. */
export function renamedBindHead(chunk: Buffer, start: number, end: number, statement: string): Buffer {
  const portalEnd = chunk.indexOf(0, start + HEADER_BYTES);
  const tailStart = bindTailStart(chunk, start, end);
  const portalBytes = portalEnd + 1 - start - HEADER_BYTES;
  const head = Buffer.allocUnsafe(HEADER_BYTES + portalBytes + statement.length + 1);
  head[0] = Frontend.bind;
  head.writeInt32BE(head.length - 1 + end - tailStart, 1);
  chunk.copy(head, HEADER_BYTES, start + HEADER_BYTES, portalEnd + 1);
  head.write(statement, HEADER_BYTES + portalBytes, 'latin1');
  head[head.length - 1] = 0;
  return head;
}

/** Bind of text parameters for text results; null is SQL NULL. */
export function bind(portal: string, statement: string, values: readonly (string | null)[] = []): Buffer {
  const w = new MessageWriter().cstring(latin1(portal)).cstring(latin1(statement)).int16(0).int16(values.length);
  for (const value of values) {
    if (value === null) w.int32(-1);
    else {
      const bytes = Buffer.from(value, 'utf8');
      w.int32(bytes.length).raw(bytes);
    }
  }
  return w.int16(0).frame(Frontend.bind);
}

export function describe(target: NamedTarget): Buffer {
  return namedTarget(Frontend.describe, target);
}

export function close(target: NamedTarget): Buffer {
  return namedTarget(Frontend.close, target);
}

function namedTarget(type: number, target: NamedTarget): Buffer {
  return new MessageWriter()
    .byte(target.kind === 'statement' ? 0x53 : 0x50)
    .cstring(latin1(target.name))
    .frame(type);
}

export function execute(portal = '', maxRows = 0): Buffer {
  return new MessageWriter().cstring(latin1(portal)).int32(maxRows).frame(Frontend.execute);
}

export function saslInitialResponse(mechanism: string, data: Buffer): Buffer {
  return new MessageWriter().cstring(mechanism).int32(data.length).raw(data).frame(Frontend.password);
}

export function saslResponse(data: Buffer): Buffer {
  return new MessageWriter().raw(data).frame(Frontend.password);
}

export function copyFail(reason: string): Buffer {
  return new MessageWriter().cstring(reason).frame(Frontend.copyFail);
}

export const SYNC: Buffer = new MessageWriter().frame(Frontend.sync);
export const FLUSH: Buffer = new MessageWriter().frame(Frontend.flush);
export const TERMINATE: Buffer = new MessageWriter().frame(Frontend.terminate);
