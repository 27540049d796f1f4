import { decodeState, encodeState } from '@understudy/core/cluster';

/** A key and its value as the gateway gives it: bytes in base64, 64-bit numbers as text. */
export interface RawPair {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision?: string;
}

/** The stamp of one writer's life on what it writes: a put that was thought lost and comes late is told apart from news. */
export interface Stamp {
  readonly by: string;
  readonly n: number;
}

/** What every value under our prefix is. */
export interface Stamped<Content> {
  readonly stamp: Stamp;
  readonly content: Content;
}

export function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

export function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8');
}

export function encodeValue(value: Stamped<unknown>): string {
  return toBase64(encodeState(value));
}

/** Throws SyntaxError or RangeError on what is not ours. */
export function decodeValue(value: string): Stamped<unknown> {
  const decoded = decodeState(fromBase64(value)) as Partial<Stamped<unknown>> | null;
  if (typeof decoded?.stamp?.by !== 'string') throw new RangeError('it was not written by Understudy');
  return decoded as Stamped<unknown>;
}

/** The first key after all keys that begin with the prefix (etcd's range_end). */
export function prefixEnd(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}
