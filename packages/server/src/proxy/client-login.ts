import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { backend, Frontend, frontend, HEADER_BYTES, ProtocolError, ScramServer } from '@understudy/wire';
import { cannotCheckLogin, protocolViolation } from './errors.ts';
import { nextChunk } from './handshake.ts';
import type { Identity, Secrets } from './secrets.ts';

/** A password message has no business being larger. */
const MAX_PASSWORD_BYTES = 10_000;

export interface Proven {
  readonly identity: Identity;
  /** Clients that the role may have at once; -1 is no limit. */
  readonly connectionLimit: number;
  /** Bytes that came after the last message. */
  readonly rest: Buffer;
}

/**
 * Lets a client prove that it knows the secret of `user`. Throws ProxyFailure; null when the client went away, as psql does when it is
 * asked for a password and has none. `certificateBinding` is the data of channel binding for connections with TLS; null offers none.
 */
export async function authenticate(
  socket: Socket,
  user: string,
  secrets: Secrets,
  certificateBinding: Buffer | null,
  early: Buffer,
): Promise<Proven | 'refused' | null> {
  const messages = new PasswordMessages(socket, early);
  const binding = socket instanceof TLSSocket ? certificateBinding : null;
  const { secret, connectionLimit } = await secrets.secretOf(user).catch((error: Error) => {
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
    if (outcome.kind === 'refused') return 'refused';
    socket.write(Buffer.concat([backend.authenticationSaslFinal(outcome.final), backend.AUTHENTICATION_OK]));
    return { identity: { user, keys: outcome.keys }, connectionLimit, rest: messages.rest() };
  } catch (error) {
    if (error instanceof ProtocolError) throw protocolViolation(error.message);
    throw error;
  }
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
