import type { Socket } from 'node:net';
import { type BackendKey, ProtocolError, readStartup, TLS_HANDSHAKE_BYTE } from '@understudy/wire';
import type { ClientTls } from './client-tls.ts';
import { type ProxyFailure, protocolViolation, tlsRequired } from './errors.ts';

/** What a client wants, once TLS is settled. */
export type Opening =
  | {
      readonly kind: 'startup';
      readonly socket: Socket;
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
      /** Bytes that came behind the startup message. */
      readonly rest: Buffer;
    }
  | { readonly kind: 'cancel'; readonly socket: Socket; readonly key: BackendKey }
  /** The bytes were no protocol of ours. */
  | { readonly kind: 'refused'; readonly socket: Socket; readonly failure: ProxyFailure }
  /** The client went away or took too long. */
  | { readonly kind: 'gone' };

const DENIED = Buffer.from('N');
const GRANTED = Buffer.from('S');

/** Talks with a client that has just connected until it has said what it wants. The caller limits the time. */
export async function openClient(raw: Socket, tls: ClientTls | null): Promise<Opening> {
  let socket = raw;
  let data: Buffer = Buffer.alloc(0);
  /** Each kind of request may come once: a client that asks again and again is not waiting for a session. */
  const asked = new Set<string>();
  for (;;) {
    if (socket === raw && tls !== null && data[0] === TLS_HANDSHAKE_BYTE && asked.size === 0) {
      // Direct TLS (PostgreSQL 17): no SSLRequest, ALPN says what is spoken.
      const secured = await tls.secure(raw, data, 'alpn-required');
      if (secured === null) return { kind: 'gone' };
      socket = secured;
      data = Buffer.alloc(0);
    }
    let read: ReturnType<typeof readStartup>;
    try {
      read = readStartup(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { kind: 'refused', socket, failure: protocolViolation(error.message) };
    }
    if (read.kind === 'partial') {
      const more = await nextChunk(socket);
      if (more === null) return { kind: 'gone' };
      data = data.length === 0 ? more : Buffer.concat([data, more]);
      continue;
    }
    const { packet } = read;
    const rest = data.subarray(read.bytes);
    switch (packet.kind) {
      case 'startup':
        if (socket === raw && tls?.required) return { kind: 'refused', socket, failure: tlsRequired() };
        return { kind: 'startup', socket, minor: packet.minor, parameters: packet.parameters, rest };
      case 'cancel':
        return { kind: 'cancel', socket, key: packet.key };
      case 'ssl':
      case 'gssenc': {
        if (asked.has(packet.kind) || socket !== raw)
          return { kind: 'refused', socket, failure: protocolViolation(`unexpected ${packet.kind} request`) };
        asked.add(packet.kind);
        // Bytes behind the request were sent in the clear before the answer: somebody may have put them there (CVE-2021-23222).
        if (rest.length > 0) return { kind: 'refused', socket, failure: protocolViolation('received unencrypted data after SSL request') };
        data = Buffer.alloc(0);
        if (packet.kind === 'gssenc' || tls === null) {
          raw.write(DENIED);
          continue;
        }
        raw.write(GRANTED);
        const secured = await tls.secure(raw, data, 'alpn-optional');
        if (secured === null) return { kind: 'gone' };
        socket = secured;
      }
    }
  }
}

/** The next bytes of a socket, which is paused again after them; null when it ends. */
export function nextChunk(socket: Socket): Promise<Buffer | null> {
  return new Promise(resolve => {
    if (socket.destroyed || socket.readableEnded) return resolve(null);
    const settle = (chunk: Buffer | null): void => {
      socket.pause();
      socket.off('data', onData);
      socket.off('close', onEnd);
      socket.off('end', onEnd);
      resolve(chunk);
    };
    const onData = (chunk: Buffer): void => settle(chunk);
    const onEnd = (): void => settle(null);
    socket.on('data', onData);
    socket.once('close', onEnd);
    socket.once('end', onEnd);
    socket.resume();
  });
}
