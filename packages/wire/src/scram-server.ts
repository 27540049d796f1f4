import { timingSafeEqual } from 'node:crypto';
import { ProtocolError } from './frames.ts';
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from './scram-client.ts';
import { type ClientKeys, hmac, KEY_BYTES, type ScramVerifier, sha256, xor } from './scram-keys.ts';

/**
 * What the server side checks against. `mock` runs the whole exchange for a role that does not exist or cannot log in, so that
 * the answers tell nothing about which roles exist; it never succeeds.
 */
export type ScramSecret =
  | { readonly kind: 'verifier'; readonly verifier: ScramVerifier }
  | { readonly kind: 'mock'; readonly salt: Buffer };

export type ScramOutcome =
  | { readonly kind: 'accepted'; readonly final: Buffer; readonly keys: ClientKeys & { readonly serverKey: Buffer } }
  | { readonly kind: 'refused' };

/** PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS. */
const MOCK_ITERATIONS = 4096;

/**
 * Server side of one SCRAM-SHA-256 login. On success it yields the client's key, with which the proxy logs in to the servers.
 * Source of the order of checks: RFC 5802 §5, src/backend/libpq/auth-scram.c.
 */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #mock: boolean;
  readonly #nonce: string;
  readonly #channelBinding: Buffer | null;
  #gs2Header = '';
  #plus = false;
  #firstBare = '';
  #serverFirst = '';
  #fullNonce = '';

  /**
   * @param nonce printable ASCII without comma.
   * @param channelBinding tls-server-end-point data of the TLS connection (RFC 5929); null without TLS.
   */
  constructor(secret: ScramSecret, nonce: string, channelBinding: Buffer | null) {
    this.#mock = secret.kind === 'mock';
    this.#verifier =
      secret.kind === 'verifier'
        ? secret.verifier
        : { iterations: MOCK_ITERATIONS, salt: secret.salt, storedKey: Buffer.alloc(KEY_BYTES), serverKey: Buffer.alloc(KEY_BYTES) };
    this.#nonce = nonce;
    this.#channelBinding = channelBinding;
  }

  /** Mechanisms to offer, best first. */
  static mechanisms(channelBinding: Buffer | null): readonly string[] {
    return channelBinding === null ? [SCRAM_SHA_256] : [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
  }

  /** Takes client-first, answers server-first. Throws ProtocolError on a malformed message or a downgrade. */
  challenge(mechanism: string, clientFirst: Buffer): Buffer {
    if (!ScramServer.mechanisms(this.#channelBinding).includes(mechanism))
      throw new ProtocolError('client selected an invalid SASL authentication mechanism');
    this.#plus = mechanism === SCRAM_SHA_256_PLUS;
    const match = /^((?:n|y|p=([A-Za-z0-9.-]+)),,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+))$/.exec(clientFirst.toString('utf8'));
    if (!match) throw new ProtocolError('malformed SCRAM message');
    const [, header, bindingType, bare, clientNonce] = match as unknown as [string, string, string | undefined, string, string];
    this.#checkBinding(header, bindingType);
    this.#gs2Header = header;
    this.#firstBare = bare;
    this.#fullNonce = clientNonce + this.#nonce;
    this.#serverFirst = `r=${this.#fullNonce},s=${this.#verifier.salt.toString('base64')},i=${this.#verifier.iterations}`;
    return Buffer.from(this.#serverFirst, 'utf8');
  }

  #checkBinding(header: string, bindingType: string | undefined): void {
    if (this.#plus) {
      if (bindingType !== 'tls-server-end-point') throw new ProtocolError('unsupported SCRAM channel-binding type');
    } else if (bindingType !== undefined) {
      throw new ProtocolError('SCRAM channel binding without the PLUS mechanism');
    } else if (header.startsWith('y') && this.#channelBinding !== null) {
      // The client believes that no binding is offered, but it was: somebody in between took the offer away.
      throw new ProtocolError('SCRAM channel binding negotiation error');
    }
  }

  /** Takes client-final, answers server-final or refuses. Throws ProtocolError on a malformed message or a wrong binding. */
  verify(clientFinal: Buffer): ScramOutcome {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)),p=([A-Za-z0-9+/=]+)$/.exec(clientFinal.toString('utf8'));
    if (!match || this.#fullNonce === '') throw new ProtocolError('malformed SCRAM message');
    const [, withoutProof, binding, nonce, proofText] = match as unknown as [string, string, string, string, string];
    const expected = Buffer.concat([
      Buffer.from(this.#gs2Header, 'utf8'),
      this.#plus && this.#channelBinding ? this.#channelBinding : Buffer.alloc(0),
    ]);
    if (!same(Buffer.from(binding, 'base64'), expected)) throw new ProtocolError('SCRAM channel binding check failed');
    if (!same(Buffer.from(nonce, 'utf8'), Buffer.from(this.#fullNonce, 'utf8'))) throw new ProtocolError('SCRAM nonce does not match');
    const proof = Buffer.from(proofText, 'base64');
    if (proof.length !== KEY_BYTES) throw new ProtocolError('malformed SCRAM message');
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const clientKey = xor(proof, hmac(this.#verifier.storedKey, authMessage));
    const proven = same(sha256(clientKey), this.#verifier.storedKey);
    if (!proven || this.#mock) return { kind: 'refused' };
    const signature = hmac(this.#verifier.serverKey, authMessage);
    return {
      kind: 'accepted',
      final: Buffer.from(`v=${signature.toString('base64')}`, 'utf8'),
      keys: { clientKey, serverKey: this.#verifier.serverKey },
    };
  }
}

/** Comparison whose time does not depend on where the difference lies. */
function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
