import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { saslprep } from './saslprep.ts';

/**
 * Keys of SCRAM-SHA-256 (RFC 5802, RFC 7677) and PostgreSQL's stored form of them
 * (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, src/common/scram-common.c).
 */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export const KEY_BYTES = 32;

const VERIFIER = /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

/** Reads a stored secret; null when it is not a SCRAM-SHA-256 verifier (an md5 hash, for example). */
export function parseVerifier(secret: string): ScramVerifier | null {
  const match = VERIFIER.exec(secret);
  if (!match) return null;
  const [, iterations, salt, storedKey, serverKey] = match as unknown as [string, string, string, string, string];
  const verifier = {
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(storedKey, 'base64'),
    serverKey: Buffer.from(serverKey, 'base64'),
  };
  const sound = verifier.iterations > 0 && verifier.storedKey.length === KEY_BYTES && verifier.serverKey.length === KEY_BYTES;
  return sound ? verifier : null;
}

export function formatVerifier(v: ScramVerifier): string {
  const b64 = (b: Buffer): string => b.toString('base64');
  return `SCRAM-SHA-256$${v.iterations}:${b64(v.salt)}$${b64(v.storedKey)}:${b64(v.serverKey)}`;
}

/** The secret half that a client proves; whoever holds it can log in as the role. */
export interface ClientKeys {
  readonly clientKey: Buffer;
  /** Proves the server to the client; null when it is not known. */
  readonly serverKey: Buffer | null;
}

/** Derives the keys of a password. Slow by design (PBKDF2). */
export function deriveKeys(password: string, salt: Buffer, iterations: number): ClientKeys & { readonly serverKey: Buffer } {
  const salted = pbkdf2Sync(saslprep(password), salt, iterations, KEY_BYTES, 'sha256');
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') };
}

export function makeVerifier(password: string, salt: Buffer, iterations: number): ScramVerifier {
  const { clientKey, serverKey } = deriveKeys(password, salt, iterations);
  return { iterations, salt, storedKey: sha256(clientKey), serverKey };
}

export function hmac(key: Buffer, text: string | Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

export function xor(a: Buffer, b: Buffer): Buffer {
  const out = Buffer.allocUnsafe(a.length);
  for (let i = 0; i < a.length; i++) out[i] = (a[i] as number) ^ (b[i] as number);
  return out;
}
