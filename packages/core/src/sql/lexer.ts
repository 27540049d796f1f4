import { classOf, DIGIT, lower, SPACE, WORD, WORD_PART } from './chars.ts';

// Where lexical elements end. Each returns the position after the element, or `end + 1` when the text ends inside it.

const BACKSLASH = 92;
const DOLLAR_SIGN = 36;
const HYPHEN = 45;
const NEWLINE = 10;
const QUOTE = 39;
const RETURN = 13;

/** After a `--` comment: at its newline, which separates. */
export function skipLineComment(source: Uint8Array, at: number, end: number): number {
  while (at < end && source[at] !== NEWLINE && source[at] !== RETURN) at++;
  return at;
}

/** After a block comment, which may hold others. */
export function skipBlockComment(source: Uint8Array, at: number, end: number): number {
  let depth = 0;
  while (at < end) {
    const byte = source[at];
    const next = at + 1 < end ? source[at + 1] : 0;
    if (byte === 47 && next === 42) {
      depth++;
      at += 2;
    } else if (byte === 42 && next === 47) {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else {
      at++;
    }
  }
  return end + 1;
}

/** After a "quoted identifier", where "" stands for one quote. `at` is at the opening quote. */
export function quotedEnd(source: Uint8Array, at: number, end: number): number {
  for (at++; at < end; at++) {
    if (source[at] !== 34) continue;
    if (at + 1 < end && source[at + 1] === 34) at++;
    else return at + 1;
  }
  return end + 1;
}

/**
 * After a string: `at` is at its opening quote or at the `$` of a dollar quote. Strings parted by white space with a newline in it are one
 * (scan.l, "quotecontinue"). `escapes`: a backslash takes the next byte with it (E'').
 */
export function literalEnd(source: Uint8Array, at: number, end: number, escapes: boolean): number {
  if (source[at] === DOLLAR_SIGN) return dollarQuoteEnd(source, at, end);
  for (;;) {
    at = segmentEnd(source, at, end, escapes);
    if (at > end) return at;
    const next = continuation(source, at, end);
    if (next < 0) return at;
    at = next;
  }
}

function segmentEnd(source: Uint8Array, at: number, end: number, escapes: boolean): number {
  for (at++; at < end; at++) {
    const byte = source[at];
    if (byte === BACKSLASH && escapes) at++;
    else if (byte === QUOTE) {
      if (at + 1 < end && source[at + 1] === QUOTE) at++;
      else return at + 1;
    }
  }
  return end + 1;
}

/** Where the string goes on after white space with a newline, or -1. */
function continuation(source: Uint8Array, at: number, end: number): number {
  let newline = false;
  while (at < end) {
    const byte = source[at];
    if (byte === QUOTE) return newline ? at : -1;
    if (byte === NEWLINE || byte === RETURN) {
      newline = true;
      at++;
    } else if (classOf(byte) === SPACE) at++;
    // A comment may stand between, but only behind the newline does it count as white space of the continuation.
    else if (newline && byte === HYPHEN && at + 1 < end && source[at + 1] === HYPHEN) at = skipLineComment(source, at, end);
    else return -1;
  }
  return -1;
}

/** The position after `$tag$`, or -1 when it is none. */
export function tagEnd(source: Uint8Array, at: number, end: number): number {
  const first = at + 1 < end ? source[at + 1] : undefined;
  if (first === DOLLAR_SIGN) return at + 2;
  if (classOf(first) !== WORD) return -1;
  for (let i = at + 2; i < end; i++) {
    if (source[i] === DOLLAR_SIGN) return i + 1;
    if (WORD_PART[source[i] as number] !== 1) return -1;
  }
  return -1;
}

function dollarQuoteEnd(source: Uint8Array, at: number, end: number): number {
  const body = tagEnd(source, at, end);
  const tagLength = body - at;
  for (let i = body; i + tagLength <= end; i++) {
    if (source[i] !== DOLLAR_SIGN) continue;
    let same = 1;
    while (same < tagLength && source[i + same] === source[at + same]) same++;
    if (same === tagLength) return i + tagLength;
    // A tag holds no dollar sign, so none of the bytes that matched can begin it: the search stays linear.
    i += same - 1;
  }
  return end + 1;
}

/**
 * After a number: decimal with fraction and exponent, or hexadecimal, octal, binary; `_` between digits. Letters that follow are not part
 * of it: before PostgreSQL 15 `select 1into t` was `select 1 into t`.
 */
export function numberEnd(source: Uint8Array, at: number, end: number): number {
  const radix = source[at] === 48 && at + 2 < end ? radixOf(source[at + 1] as number) : 0;
  if (radix > 0 && isDigitOf(radix, source[at + 2] as number)) {
    at += 2;
    while (at < end && (isDigitOf(radix, source[at] as number) || source[at] === 95)) at++;
    return at;
  }
  at = digitsEnd(source, at, end);
  // `1..10` is a range (in PL/pgSQL), not two numbers with a point each.
  if (at < end && source[at] === 46 && source[at + 1] !== 46) at = digitsEnd(source, at + 1, end);
  return exponentEnd(source, at, end);
}

function digitsEnd(source: Uint8Array, at: number, end: number): number {
  while (at < end && (classOf(source[at]) === DIGIT || (source[at] === 95 && at + 1 < end && classOf(source[at + 1]) === DIGIT))) at++;
  return at;
}

function exponentEnd(source: Uint8Array, at: number, end: number): number {
  if (at >= end || lower(source[at] as number) !== 101) return at;
  const sign = source[at + 1] === 43 || source[at + 1] === HYPHEN ? 1 : 0;
  const digits = at + 1 + sign;
  return digits < end && classOf(source[digits]) === DIGIT ? digitsEnd(source, digits, end) : at;
}

function radixOf(letter: number): number {
  const folded = lower(letter);
  return folded === 120 ? 16 : folded === 111 ? 8 : folded === 98 ? 2 : 0;
}

function isDigitOf(radix: number, byte: number): boolean {
  const folded = lower(byte);
  if (folded >= 97) return radix === 16 && folded <= 102;
  return byte >= 48 && byte < 48 + Math.min(radix, 10);
}
