import type { BackendKey } from './backend.ts';
import { MessageReader, MessageWriter } from './bytes.ts';
import { ProtocolError } from './frames.ts';

/**
 * Messages before the first typed frame: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH (src/include/libpq/pqcomm.h). */
export const MAX_STARTUP_BYTES = 10_000;

/** The newest minor version of protocol 3 that is spoken here. 3.1 was never used. */
export const NEWEST_MINOR = 2;

const SSL_REQUEST_CODE = 80877103;
const GSSENC_REQUEST_CODE = 80877104;
const CANCEL_REQUEST_CODE = 80877102;

/** First byte of a TLS ClientHello: direct TLS, without SSLRequest. */
export const TLS_HANDSHAKE_BYTE = 0x16;

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly key: BackendKey }
  | { readonly kind: 'startup'; readonly minor: number; readonly parameters: ReadonlyMap<string, string> };

export type StartupRead =
  /** More bytes are needed. */
  { readonly kind: 'partial' } | { readonly kind: 'packet'; readonly packet: StartupPacket; readonly bytes: number };

/**
 * Reads one packet of the startup phase from the beginning of `data`.
 * Throws ProtocolError on what cannot be one, as soon as that is certain.
 */
export function readStartup(data: Buffer): StartupRead {
  if (data.length < 4) return { kind: 'partial' };
  const bytes = data.readInt32BE(0);
  if (bytes < 8 || bytes > MAX_STARTUP_BYTES) throw new ProtocolError('invalid length of startup packet');
  if (data.length < 8) return { kind: 'partial' };
  const code = data.readInt32BE(4);
  if (!isKnown(code)) throw new ProtocolError(`unsupported frontend protocol ${code >>> 16}.${code & 0xffff}`);
  if (data.length < bytes) return { kind: 'partial' };
  return { kind: 'packet', packet: readPacket(code, new MessageReader(data, 8, bytes)), bytes };
}

function isKnown(code: number): boolean {
  return code >>> 16 === 3 || code === SSL_REQUEST_CODE || code === GSSENC_REQUEST_CODE || code === CANCEL_REQUEST_CODE;
}

function readPacket(code: number, r: MessageReader): StartupPacket {
  if (code === SSL_REQUEST_CODE) return { kind: 'ssl' };
  if (code === GSSENC_REQUEST_CODE) return { kind: 'gssenc' };
  if (code === CANCEL_REQUEST_CODE) {
    const processId = r.int32();
    const secret = Buffer.from(r.rest());
    if (secret.length < 4 || secret.length > 256) throw new ProtocolError('invalid length of cancel request packet');
    return { kind: 'cancel', key: { processId, secret } };
  }
  const parameters = new Map<string, string>();
  for (let name = r.cstring(); name !== ''; name = r.cstring()) parameters.set(name, r.cstring());
  if (r.left > 0) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte');
  return { kind: 'startup', minor: code & 0xffff, parameters };
}

/** What remains of the request after negotiation: the version in force, and what the client must be told (null: nothing). */
export interface Negotiated {
  readonly minor: number;
  readonly unknownOptions: readonly string[];
  readonly mustTell: boolean;
}

/** Settles version and protocol options. Options named `_pq_.…` are requests for extensions; none is known. */
export function negotiate(minor: number, parameters: ReadonlyMap<string, string>): Negotiated {
  const unknownOptions = [...parameters.keys()].filter(name => name.startsWith('_pq_.'));
  const settled = Math.min(minor, NEWEST_MINOR);
  return { minor: settled, unknownOptions, mustTell: minor > NEWEST_MINOR || unknownOptions.length > 0 };
}

export function startupMessage(parameters: ReadonlyMap<string, string>, minor = 0): Buffer {
  const w = new MessageWriter().int32((3 << 16) | minor);
  for (const [name, value] of parameters) w.cstring(name).cstring(value);
  return w.byte(0).untyped();
}

export function cancelRequest(key: BackendKey): Buffer {
  return new MessageWriter().int32(CANCEL_REQUEST_CODE).int32(key.processId).raw(key.secret).untyped();
}

export const SSL_REQUEST: Buffer = new MessageWriter().int32(SSL_REQUEST_CODE).untyped();
export const GSSENC_REQUEST: Buffer = new MessageWriter().int32(GSSENC_REQUEST_CODE).untyped();
