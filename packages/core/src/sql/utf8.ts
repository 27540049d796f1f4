const REPLACEMENT = 0xfffd;

/** Bytes that `text` may need at most. */
export function utf8Bound(text: string): number {
  return text.length * 3;
}

/** Writes `text` as UTF-8 and returns its length in bytes; `into` must have room for {@link utf8Bound}. Lone surrogates become U+FFFD. */
export function encodeUtf8(text: string, into: Uint8Array): number {
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      into[at++] = unit;
    } else if (unit < 0x800) {
      into[at++] = 0xc0 | (unit >> 6);
      into[at++] = 0x80 | (unit & 0x3f);
    } else {
      const point = unit >= 0xd800 && unit <= 0xdfff ? surrogatePair(text, i) : unit;
      if (point > 0xffff) {
        i++;
        into[at++] = 0xf0 | (point >> 18);
        into[at++] = 0x80 | ((point >> 12) & 0x3f);
      } else {
        into[at++] = 0xe0 | (point >> 12);
      }
      into[at++] = 0x80 | ((point >> 6) & 0x3f);
      into[at++] = 0x80 | (point & 0x3f);
    }
  }
  return at;
}

function surrogatePair(text: string, at: number): number {
  const point = text.codePointAt(at) as number;
  return point > 0xffff ? point : REPLACEMENT;
}

/** Reads UTF-8; a byte that is not part of a valid sequence becomes U+FFFD, so that nothing makes it throw. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  const parts: string[] = [];
  let points: number[] = [];
  for (let at = start; at < end; ) {
    const lead = bytes[at] as number;
    const length =
      lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    const point = length === 0 ? -1 : decodePoint(bytes, at, length, end);
    points.push(point < 0 ? REPLACEMENT : point);
    at += point < 0 ? 1 : length;
    if (points.length === 4096) {
      parts.push(String.fromCodePoint(...points));
      points = [];
    }
  }
  parts.push(String.fromCodePoint(...points));
  return parts.join('');
}

/** The code point of a sequence of `length` bytes, -1 if it is cut short or malformed. */
function decodePoint(bytes: Uint8Array, at: number, length: number, end: number): number {
  const lead = bytes[at] as number;
  if (length === 1) return lead;
  if (at + length > end) return -1;
  let point = lead & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const byte = bytes[at + i] as number;
    if ((byte & 0xc0) !== 0x80) return -1;
    point = (point << 6) | (byte & 0x3f);
  }
  return point > 0x10ffff ? -1 : point;
}
