import { decodeUtf8 } from './utf8.ts';

/** Longest fingerprint, in bytes; also the longest text that the parser ever sees. */
export const MAX_FINGERPRINT_BYTES = 65_536;

/** The bytes of a fingerprint as it is made: a buffer that is kept for the next one, and grows up to a limit. */
export class FingerprintOutput {
  /** The fingerprint is `bytes[0..length)`. */
  bytes: Uint8Array = new Uint8Array(1024);
  length = 0;
  /** 32-bit hash of the fingerprint, unsigned. */
  hash = 0;
  /** True when the text or its fingerprint is over the limits; `length` is then 0. */
  tooLong = false;

  /** The fingerprint as text. */
  text(): string {
    return decodeUtf8(this.bytes, 0, this.length);
  }

  protected clear(): void {
    this.length = 0;
    this.hash = 0;
    this.tooLong = false;
  }

  /** Ends the fingerprint: one that is too long is none. */
  protected seal(): void {
    if (this.tooLong) this.length = 0;
    this.hash = hashOf(this.bytes, this.length);
  }

  /** Whether the word that begins at `from` in the output is one of these. */
  protected isOneOf(words: readonly string[], from: number): boolean {
    for (let i = 0; i < words.length; i++) if (this.isWord(words[i] as string, from)) return true;
    return false;
  }

  protected isWord(word: string, from: number): boolean {
    if (word.length !== this.length - from) return false;
    for (let i = 0; i < word.length; i++) if (this.bytes[from + i] !== word.charCodeAt(i)) return false;
    return true;
  }

  /** Appends `source[from..end)` as it is. */
  protected copy(source: Uint8Array, from: number, end: number): void {
    if (!this.reserve(end - from)) return;
    const bytes = this.bytes;
    let length = this.length;
    for (let at = from; at < end; at++) bytes[length++] = source[at] as number;
    this.length = length;
  }

  /** Makes room for so many bytes more; false when that is over the limit. */
  protected reserve(count: number): boolean {
    while (this.bytes.length - this.length < count) if (!this.#grow()) return false;
    return true;
  }

  protected push(byte: number): void {
    if (this.length === this.bytes.length && !this.#grow()) return;
    this.bytes[this.length++] = byte;
  }

  #grow(): boolean {
    if (this.bytes.length >= MAX_FINGERPRINT_BYTES) {
      this.tooLong = true;
      return false;
    }
    const larger = new Uint8Array(this.bytes.length * 2);
    larger.set(this.bytes);
    this.bytes = larger;
    return true;
  }
}

/** FNV-1a over 32 bits. */
function hashOf(bytes: Uint8Array, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash >>> 0;
}
