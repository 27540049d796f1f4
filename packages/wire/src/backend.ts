import { MessageReader, MessageWriter } from './bytes.ts';
import { HEADER_BYTES, ProtocolError } from './frames.ts';
import { Backend, type TransactionStatus } from './types.ts';

/** Messages of the server: what a proxy reads of them, and the ones that it sends itself. */

/** Type OID of `text`, the only type of the answers that the proxy makes up. */
export const TEXT_OID = 25;

const empty = (type: number): Buffer => new MessageWriter().frame(type);

export const PARSE_COMPLETE: Buffer = empty(Backend.parseComplete);
export const BIND_COMPLETE: Buffer = empty(Backend.bindComplete);
export const CLOSE_COMPLETE: Buffer = empty(Backend.closeComplete);
export const NO_DATA: Buffer = empty(Backend.noData);
export const EMPTY_QUERY_RESPONSE: Buffer = empty(Backend.emptyQueryResponse);

export const READY: Readonly<Record<TransactionStatus, Buffer>> = {
  I: new MessageWriter().byte(0x49).frame(Backend.readyForQuery),
  T: new MessageWriter().byte(0x54).frame(Backend.readyForQuery),
  E: new MessageWriter().byte(0x45).frame(Backend.readyForQuery),
};

export const AUTHENTICATION_OK: Buffer = new MessageWriter().int32(0).frame(Backend.authentication);

/** What a server wants of a client that logs in. */
export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'saslContinue'; readonly data: Buffer }
  | { readonly kind: 'saslFinal'; readonly data: Buffer }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'unsupported'; readonly code: number };

export function readAuthentication(frame: Buffer, start = 0, end: number = frame.length): AuthenticationRequest {
  const r = new MessageReader(frame, start + HEADER_BYTES, end);
  const code = r.int32();
  switch (code) {
    case 0:
      return { kind: 'ok' };
    case 3:
      return { kind: 'cleartext' };
    case 5:
      return { kind: 'md5', salt: r.bytes(4) };
    case 10: {
      const mechanisms: string[] = [];
      for (let name = r.cstring(); name !== ''; name = r.cstring()) mechanisms.push(name);
      return { kind: 'sasl', mechanisms };
    }
    case 11:
      return { kind: 'saslContinue', data: r.rest() };
    case 12:
      return { kind: 'saslFinal', data: r.rest() };
    default:
      return { kind: 'unsupported', code };
  }
}

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  const w = new MessageWriter().int32(10);
  for (const name of mechanisms) w.cstring(name);
  return w.byte(0).frame(Backend.authentication);
}

export function authenticationSaslContinue(data: Buffer): Buffer {
  return new MessageWriter().int32(11).raw(data).frame(Backend.authentication);
}

export function authenticationSaslFinal(data: Buffer): Buffer {
  return new MessageWriter().int32(12).raw(data).frame(Backend.authentication);
}

/** Address of a backend for CancelRequest. The secret has 4 bytes in protocol 3.0 and 4 to 256 in 3.2. */
export interface BackendKey {
  readonly processId: number;
  readonly secret: Buffer;
}

export function readBackendKeyData(frame: Buffer, start = 0, end: number = frame.length): BackendKey {
  const r = new MessageReader(frame, start + HEADER_BYTES, end);
  const processId = r.int32();
  const secret = Buffer.from(r.rest());
  if (secret.length < 4 || secret.length > 256) throw new ProtocolError(`cancel key of ${secret.length} bytes`);
  return { processId, secret };
}

export function backendKeyData(key: BackendKey): Buffer {
  return new MessageWriter().int32(key.processId).raw(key.secret).frame(Backend.backendKeyData);
}

export function readParameterStatus(frame: Buffer, start = 0, end: number = frame.length): { name: string; value: string } {
  const r = new MessageReader(frame, start + HEADER_BYTES, end);
  return { name: r.cstring(), value: r.cstring() };
}

export function parameterStatus(name: string, value: string): Buffer {
  return new MessageWriter().cstring(name).cstring(value).frame(Backend.parameterStatus);
}

/** Status byte of a ReadyForQuery. */
export function readReadyForQuery(frame: Buffer, start = 0): TransactionStatus {
  const status = frame[start + HEADER_BYTES];
  if (status === 0x49) return 'I';
  if (status === 0x54) return 'T';
  if (status === 0x45) return 'E';
  throw new ProtocolError(`transaction status ${status}`);
}

/** Tag of a CommandComplete, for example `INSERT 0 1`. */
export function readCommandTag(frame: Buffer, start = 0, end: number = frame.length): string {
  return new MessageReader(frame, start + HEADER_BYTES, end).cstring('latin1');
}

export function commandComplete(tag: string): Buffer {
  return new MessageWriter().cstring(tag).frame(Backend.commandComplete);
}

/** Columns of the answers that the proxy makes up: all of type text. */
export function rowDescription(columns: readonly string[]): Buffer {
  const w = new MessageWriter().int16(columns.length);
  for (const name of columns) w.cstring(name).int32(0).int16(0).int32(TEXT_OID).int16(-1).int32(-1).int16(0);
  return w.frame(Backend.rowDescription);
}

export function parameterDescription(types: readonly number[]): Buffer {
  const w = new MessageWriter().int16(types.length);
  for (const oid of types) w.int32(oid);
  return w.frame(Backend.parameterDescription);
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  const w = new MessageWriter().int16(values.length);
  for (const value of values) {
    if (value === null) w.int32(-1);
    else {
      const bytes = Buffer.from(value, 'utf8');
      w.int32(bytes.length).raw(bytes);
    }
  }
  return w.frame(Backend.dataRow);
}

/** Columns of a DataRow as text; null is SQL NULL. For small answers to the proxy's own questions only: it copies. */
export function readDataRow(frame: Buffer, start = 0, end: number = frame.length): (string | null)[] {
  const r = new MessageReader(frame, start + HEADER_BYTES, end);
  const count = r.int16();
  const values: (string | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = r.int32();
    values.push(length < 0 ? null : r.bytes(length).toString('utf8'));
  }
  return values;
}

/**
 * Sent when the client asked for a newer minor version or for protocol options (`_pq_.…`) that are not known.
 * `newestMinor` is the newest minor version of major 3 that is spoken here.
 */
export function negotiateProtocolVersion(newestMinor: number, unknownOptions: readonly string[]): Buffer {
  const w = new MessageWriter().int32((3 << 16) | newestMinor).int32(unknownOptions.length);
  for (const option of unknownOptions) w.cstring(option);
  return w.frame(Backend.negotiateProtocolVersion);
}
