import { timingSafeEqual } from 'node:crypto';
import { ProtocolError } from './frames.ts';
import { type ClientKeys, deriveKeys, hmac, sha256, xor } from './scram-keys.ts';

/** With what a client logs in: a password, or only the keys (pass-through: the password was never known). */
export type ScramCredential =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'keys'; readonly keys: ClientKeys };

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';
export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS';

/** Iterations beyond this are refused: a hostile server could keep the process busy for minutes. */
const MAX_ITERATIONS = 1_000_000;

/** With what a server's stored secret was made of the password; whoever begins a login is told. */
export interface ScramSalt {
  readonly salt: Buffer;
  readonly iterations: number;
}

/**
 * Client side of one SCRAM-SHA-256 login, without channel binding.
 * PostgreSQL ignores the user name of the exchange and takes the one of the startup message.
 */
export class ScramClient {
  readonly #credential: ScramCredential;
  readonly #nonce: string;
  #firstBare = '';
  #expectedSignature: Buffer | null = null;
  #awaiting: 'challenge' | 'signature' | 'nothing' = 'nothing';
  /** What the challenge said; null before it. */
  salt: ScramSalt | null = null;

  /** @param nonce printable ASCII without comma, at least 18 random bytes in base64. */
  constructor(credential: ScramCredential, nonce: string) {
    this.#credential = credential;
    this.#nonce = nonce;
  }

  first(): Buffer {
    this.#firstBare = `n=,r=${this.#nonce}`;
    this.#awaiting = 'challenge';
    return Buffer.from(`n,,${this.#firstBare}`, 'utf8');
  }

  /** Answers the server's challenge. Throws ProtocolError on a malformed or foreign one. */
  respond(challenge: Buffer): Buffer {
    if (this.#awaiting !== 'challenge') throw new ProtocolError('SCRAM challenge out of order');
    const text = challenge.toString('utf8');
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})$/.exec(text);
    if (!match) throw new ProtocolError('malformed SCRAM challenge');
    const [, nonce, salt, iterations] = match as unknown as [string, string, string, string];
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length)
      throw new ProtocolError('SCRAM nonce of the server does not extend ours');
    if (Number(iterations) < 1 || Number(iterations) > MAX_ITERATIONS) throw new ProtocolError('SCRAM iteration count out of range');
    this.salt = { salt: Buffer.from(salt, 'base64'), iterations: Number(iterations) };
    const keys = this.#keys(this.salt);
    const withoutProof = `c=biws,r=${nonce}`;
    const authMessage = `${this.#firstBare},${text},${withoutProof}`;
    const proof = xor(keys.clientKey, hmac(sha256(keys.clientKey), authMessage));
    this.#expectedSignature = keys.serverKey === null ? null : hmac(keys.serverKey, authMessage);
    this.#awaiting = 'signature';
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`, 'utf8');
  }

  /** Checks that the server knows the secret too. Throws ProtocolError when it does not. */
  finish(final: Buffer): void {
    if (this.#awaiting !== 'signature') throw new ProtocolError('SCRAM signature out of order');
    this.#awaiting = 'nothing';
    const match = /^v=([A-Za-z0-9+/=]+)$/.exec(final.toString('utf8'));
    if (!match) throw new ProtocolError('malformed SCRAM signature');
    const signature = Buffer.from(match[1] as string, 'base64');
    const expected = this.#expectedSignature;
    if (expected === null) return;
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new ProtocolError('the server does not know the secret');
  }

  #keys({ salt, iterations }: ScramSalt): ClientKeys {
    switch (this.#credential.kind) {
      case 'keys':
        return this.#credential.keys;
      case 'password':
        return deriveKeys(this.#credential.password, salt, iterations);
    }
  }
}
