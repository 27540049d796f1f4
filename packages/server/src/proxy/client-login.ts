import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { backend, Frontend, frontend, HEADER_BYTES, ProtocolError, ScramServer } from '@understudy/wire';
import { cannotCheckLogin, protocolViolation, wrongPassword } from './errors.ts';
import { nextChunk } from './handshake.ts';
import type { Identity, Secrets } from './secrets.ts';

/** A password message has no business being larger. */
const MAX_PASSWORD_BYTES = 10_000;

/**
 * Lets a client prove that it knows the secret of `user`. Throws ProxyFailure; null when the client went away, as psql does when it is
 * asked for a password and has none. `rest` are bytes that came after the last message.
 */
export async function authenticate(
  socket: Socket,
  user: string,
  secrets: Secrets,
  certificate: string | null,
  early: Buffer,
): Promise<{ readonly identity: Identity; readonly rest: Buffer } | null> {
  const messages = new PasswordMessages(socket, early);
  const binding = socket instanceof TLSSocket && certificate !== null ? endPointBinding(certificate) : null;
  const secret = await secrets.secretOf(user).catch((error: Error) => {
    throw cannotCheckLogin(error.message);
  });
  const server = new ScramServer(secret, randomBytes(18).toString('base64'), binding);
  try {
    socket.write(backend.authenticationSasl(ScramServer.mechanisms(binding)));
    const first = await messages.next();
    if (first === null) return null;
    const { mechanism, data } = frontend.readSaslInitialResponse(first);
    socket.write(backend.authenticationSaslContinue(server.challenge(mechanism, data)));
    const final = await messages.next();
    if (final === null) return null;
    const outcome = server.verify(frontend.readSaslResponse(final));
    if (outcome.kind === 'refused') throw wrongPassword(user);
    socket.write(Buffer.concat([backend.authenticationSaslFinal(outcome.final), backend.AUTHENTICATION_OK]));
    return { identity: { user, keys: outcome.keys }, rest: messages.rest() };
  } catch (error) {
    if (error instanceof ProtocolError) throw protocolViolation(error.message);
    throw error;
  }
}

/** Data of channel binding tls-server-end-point: a hash of our certificate (RFC 5929 §4.1: SHA-256 in place of MD5 and SHA-1). */
function endPointBinding(certificate: string): Buffer {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest();
}

/** Reads the password messages of a client, and nothing else. */
class PasswordMessages {
  readonly #socket: Socket;
  #data: Buffer;

  constructor(socket: Socket, early: Buffer) {
    this.#socket = socket;
    this.#data = early;
  }

  /** The next whole message; null when the client is gone. Throws ProtocolError on any other message. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      const frame = this.#whole();
      if (frame !== null) return frame;
      const chunk = await nextChunk(this.#socket);
      if (chunk === null) return null;
      this.#data = Buffer.concat([this.#data, chunk]);
    }
  }

  rest(): Buffer {
    return this.#data;
  }

  #whole(): Buffer | null {
    if (this.#data.length < HEADER_BYTES) return null;
    if (this.#data[0] !== Frontend.password) throw new ProtocolError('expected a password message');
    const bytes = 1 + this.#data.readInt32BE(1);
    if (bytes < HEADER_BYTES || bytes > MAX_PASSWORD_BYTES) throw new ProtocolError('a password message of impossible length');
    if (this.#data.length < bytes) return null;
    const frame = this.#data.subarray(0, bytes);
    this.#data = this.#data.subarray(bytes);
    return frame;
  }
}
