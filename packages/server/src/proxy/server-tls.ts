import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { SSL_REQUEST } from '@understudy/wire';
import { nextChunk } from './handshake.ts';

/** By what a router and the servers know each other, in PEM: the cluster's authority, and the router's own certificate with its key. */
export interface ServerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const GRANTED = 0x53;
/** To make one reads the certificates anew. */
const contexts = new WeakMap<ServerTls, SecureContext>();

/**
 * Asks the server at the other end for TLS and continues the connection in it. Rejects when it has none, or its certificate is not of the authority; a
 * connection that is lost meanwhile rejects, too. The authority is the cluster's own: whoever has a certificate of it is a machine of the cluster, by
 * whatever name it is reached.
 */
export async function secureServer(raw: Socket, material: ServerTls): Promise<TLSSocket> {
  let failure: Error | null = null;
  raw.on('error', error => {
    failure = error;
  });
  raw.write(SSL_REQUEST);
  const answer = await nextChunk(raw);
  if (answer === null) throw failure ?? new Error('the server closed the connection');
  // Bytes behind the answer were sent in the clear: somebody may have put them there.
  if (answer.length !== 1 || answer[0] !== GRANTED) throw new Error('the server offers no TLS');
  return await new Promise((resolve, reject) => {
    const secured = connect({ socket: raw, secureContext: contextOf(material), checkServerIdentity: () => undefined }, () => {
      secured.off('error', reject);
      secured.off('close', onClose);
      resolve(secured);
    });
    const onClose = (): void => reject(failure ?? new Error('the server closed the connection'));
    secured.once('error', reject);
    secured.once('close', onClose);
  });
}

function contextOf(material: ServerTls): SecureContext {
  let context = contexts.get(material);
  if (context === undefined) {
    context = createSecureContext({ ...material, minVersion: 'TLSv1.2' });
    contexts.set(material, context);
  }
  return context;
}
