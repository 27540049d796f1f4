import {
  BYTE_CLASS,
  COLON,
  classOf,
  DIGIT,
  DOLLAR,
  DOT,
  DOUBLE_QUOTE,
  lower,
  OPERATOR,
  SEMICOLON,
  SINGLE_QUOTE,
  SPACE,
  WORD,
  WORD_PART,
} from './chars.ts';
import { FingerprintOutput } from './fingerprint-output.ts';
import { literalEnd, numberEnd, quotedEnd, skipBlockComment, skipLineComment, tagEnd } from './lexer.ts';
import { encodeUtf8, utf8Bound } from './utf8.ts';

/** Longest text that is scanned at all, in bytes: past it a scan would hold up the event loop for longer than a primary read costs. */
export const MAX_SCAN_BYTES = 262_144;

// What the last token was, for spacing and folding.
const AFTER_PUNCTUATION = 0;
const AFTER_TOKEN = 1;

// Where the scan is in a list of constants: `1`, `1 ,`, `1 , 2`.
const NO_LIST = 0;
const ONE_CONSTANT = 1;
const CONSTANT_COMMA = 2;
const TWO_CONSTANTS = 3;

// What becomes of literals in the statement being scanned.
const UNDECIDED = 0;
const STRIP = 1;
const KEEP = 2;
/** EXPLAIN: its options count, the literals of the statement that it explains do not. */
const KEEP_UNTIL_QUERY = 3;

const HYPHEN = 45;
const SLASH = 47;
const STAR = 42;
const NEWLINE = 10;
const BLANK = 32;
const OPEN = 40;
const CLOSE = 41;
const COMMA = 44;
const CLOSE_BRACKET = 93;
const HINT_MARK = 'understudy:';

/** Statements whose literals never decide where they may run. All others (SET, BEGIN, COPY, DDL…) keep theirs. */
const STRIPPED = ['select', 'insert', 'update', 'delete', 'with', 'values', 'merge', 'table', 'execute', 'call', 'notify', 'fetch', 'move'];
const CONSTANT_WORDS = ['null', 'true', 'false', 'default'];

/**
 * Turns a text into its fingerprint: the same SQL with comments gone, unquoted words in lower case, one way of spacing, every literal
 * replaced by an empty one of its kind, and lists of constants (`IN (1, 2, 3)`, the rows of VALUES) cut to one. The fingerprint is itself SQL,
 * and it is what the parser is given: texts that share it share their class because there is only one parse.
 *
 * Kept, since classes depend on it: all literals outside queries and DML (SET, EXPLAIN options, COPY options, transaction modes), the name
 * and the scope of set_config(), and comments in front that begin with `understudy:`.
 *
 * Total and linear: any bytes give some fingerprint. The text must be in an encoding whose multi-byte characters hold no ASCII bytes (UTF-8, EUC, LATIN:
 * all that a server can use; not the client-only SJIS, BIG5, GBK, UHC, GB18030, JOHAB), and standard_conforming_strings must be on.
 *
 * One instance is reused for all texts: {@link scan} leaves its result in `bytes`, `length` and `hash` until the next call.
 */
export class Fingerprinter extends FingerprintOutput {
  #source: Uint8Array = new Uint8Array(0);
  #encoded: Uint8Array = new Uint8Array(1024);
  #at = 0;
  #end = 0;
  #after = AFTER_PUNCTUATION;
  #mode = UNDECIDED;
  /** Set by a U&"…" identifier: it may spell set_config, and unescaping it is the parser's business. */
  #keepAll = false;
  #leading = true;
  #depth = 0;
  #list = NO_LIST;
  #listEnd = 0;
  /** Length of the output before `(` when nothing but constants has followed it, else -1. */
  #rowStart = -1;
  /** Length of the output after a row of constants; then after `row ,`: the comma is at this place. Else -1. */
  #rowEnd = -1;
  #configDepth = 0;
  #configArgument = 0;
  #configNext = false;

  /** Scans `source[start..end)`. */
  scan(source: Uint8Array, start: number = 0, end: number = source.length): void {
    this.#reset(source, start, end);
    if (end - start > MAX_SCAN_BYTES) this.tooLong = true;
    while (this.#at < this.#end && !this.tooLong) this.#token();
    this.#foldList();
    while (this.length > 0 && this.bytes[this.length - 1] === 59) this.length--;
    this.seal();
  }

  /** Scans a string by its UTF-8 form. */
  scanText(sql: string): void {
    if (sql.length > MAX_SCAN_BYTES) {
      this.#reset(this.#encoded, 0, 0);
      this.tooLong = true;
      return;
    }
    const bound = utf8Bound(sql);
    if (this.#encoded.length < bound) this.#encoded = new Uint8Array(bound);
    this.scan(this.#encoded, 0, encodeUtf8(sql, this.#encoded));
  }

  #reset(source: Uint8Array, start: number, end: number): void {
    this.clear();
    this.#source = source;
    this.#at = start;
    this.#end = end;
    this.#after = AFTER_PUNCTUATION;
    this.#keepAll = false;
    this.#leading = true;
    this.#beginStatement();
  }

  #beginStatement(): void {
    this.#mode = this.#keepAll ? KEEP : UNDECIDED;
    this.#depth = 0;
    this.#list = NO_LIST;
    this.#rowStart = -1;
    this.#rowEnd = -1;
    this.#configDepth = 0;
    this.#configNext = false;
  }

  #token(): void {
    const byte = this.#source[this.#at] as number;
    switch (BYTE_CLASS[byte]) {
      case SPACE:
        this.#at++;
        return;
      case WORD:
        return this.#word(byte);
      case DIGIT:
        return this.#constant(numberEnd(this.#source, this.#at, this.#end), NUMBER);
      case SINGLE_QUOTE:
        return this.#constant(literalEnd(this.#source, this.#at, this.#end, false), STRING);
      case DOUBLE_QUOTE:
        return this.#quotedIdentifier(this.#at);
      case OPERATOR:
        return this.#operatorOrComment(byte);
      case DOLLAR:
        return this.#dollar();
      case DOT:
        if (classOf(this.#byteAt(1)) === DIGIT) return this.#constant(numberEnd(this.#source, this.#at, this.#end), NUMBER);
        return this.#punctuation(byte);
      case COLON:
        return this.#colon();
      case SEMICOLON:
        this.#foldList();
        this.push(byte);
        this.#at++;
        this.#leading = false;
        this.#after = AFTER_PUNCTUATION;
        return this.#beginStatement();
      default:
        return this.#punctuation(byte);
    }
  }

  #byteAt(offset: number): number | undefined {
    return this.#at + offset < this.#end ? this.#source[this.#at + offset] : undefined;
  }

  /** An unquoted word, or a literal or identifier with a prefix: E'', B'', X'', N'', U&'', U&"". */
  #word(first: number): void {
    const next = this.#byteAt(1);
    if (next === 39 && isStringPrefix(first)) return this.#prefixedString(lower(first));
    if (next === 38 && lower(first) === 117) {
      const quote = this.#byteAt(2);
      if (quote === 39) return this.#unicodeString();
      if (quote === 34) {
        this.#keepAll = true;
        this.#mode = KEEP;
        return this.#quotedIdentifier(this.#at + 2);
      }
    }
    this.#space();
    const from = this.length;
    this.#copyWord();
    this.#afterWord(from);
  }

  /** Most of a statement is words, so this loop is kept free of calls. */
  #copyWord(): void {
    const source = this.#source;
    const end = this.#end;
    const start = this.#at;
    let at = start + 1;
    while (at < end && WORD_PART[source[at] as number] === 1) at++;
    if (!this.reserve(at - start)) return;
    const bytes = this.bytes;
    let to = this.length;
    for (let i = start; i < at; i++) {
      const byte = source[i] as number;
      bytes[to++] = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    }
    this.length = to;
    this.#at = at;
  }

  #afterWord(from: number): void {
    const length = this.length - from;
    this.#leading = false;
    this.#after = AFTER_TOKEN;
    if (this.#mode === UNDECIDED)
      this.#mode = this.isOneOf(STRIPPED, from) ? STRIP : this.isWord('explain', from) ? KEEP_UNTIL_QUERY : KEEP;
    else if (this.#mode === KEEP_UNTIL_QUERY && this.isOneOf(STRIPPED, from)) this.#mode = STRIP;
    if (length <= 7 && this.#mode === STRIP && this.isOneOf(CONSTANT_WORDS, from)) return this.#constantSeen(from);
    if (this.isWord('set_config', from)) this.#enterConfig();
    else this.#configNext = false;
    if (this.isWord('uescape', from)) this.#copyUescape();
    this.#list = NO_LIST;
    this.#rowStart = -1;
    this.#rowEnd = -1;
  }

  /** The character of `UESCAPE '!'` belongs to the spelling of the identifier or string before it. */
  #copyUescape(): void {
    let at = this.#at;
    while (at < this.#end && classOf(this.#source[at]) === SPACE) at++;
    if (at >= this.#end || this.#source[at] !== 39) return;
    this.push(BLANK);
    const end = literalEnd(this.#source, at, this.#end, false);
    this.copy(this.#source, at, Math.min(end, this.#end));
    this.#at = end;
  }

  #enterConfig(): void {
    // One call inside another: keep everything rather than follow both.
    if (this.#configDepth > 0) this.#mode = KEEP;
    this.#configNext = true;
  }

  #prefixedString(prefix: number): void {
    const end = literalEnd(this.#source, this.#at + 1, this.#end, prefix === 101);
    this.#constant(end, prefix === 98 ? BITS : prefix === 120 ? HEX : STRING);
  }

  #unicodeString(): void {
    this.#constant(literalEnd(this.#source, this.#at + 2, this.#end, false), UNICODE_STRING);
  }

  #quotedIdentifier(quoteAt: number): void {
    const end = quotedEnd(this.#source, quoteAt, this.#end);
    this.#space();
    const from = this.length;
    this.copy(this.#source, this.#at, Math.min(end, this.#end));
    this.#at = end;
    this.#other(AFTER_TOKEN);
    if (this.isWord('"set_config"', from)) this.#enterConfig();
  }

  /** A literal that ends before `end` (beyond the text's end: unterminated, told by a lone quote that no parser accepts). */
  #constant(end: number, replacement: Uint8Array): void {
    this.#leading = false;
    this.#space();
    const from = this.length;
    if (end > this.#end) {
      this.push(39);
      this.#at = this.#end;
      this.#after = AFTER_TOKEN;
      return;
    }
    const keep = this.#mode !== STRIP || (this.#configDepth > 0 && this.#configArgument !== 1);
    if (keep) this.copy(this.#source, this.#at, Math.min(end, this.#end));
    else for (let i = 0; i < replacement.length; i++) this.push(replacement[i] as number);
    this.#at = end;
    if (keep) this.#other(AFTER_TOKEN);
    else this.#constantSeen(from);
  }

  #constantSeen(from: number): void {
    this.#after = AFTER_TOKEN;
    this.#configNext = false;
    this.#rowEnd = this.#rowStart >= 0 ? this.#rowEnd : -1;
    if (this.#configDepth > 0) return;
    if (this.#list === CONSTANT_COMMA) {
      this.#list = TWO_CONSTANTS;
      return;
    }
    if (this.#rowStart >= 0 && this.bytes[from - 1] !== OPEN) this.#rowStart = -1;
    this.#list = ONE_CONSTANT;
    this.#listEnd = this.length;
  }

  /** `1 , 2` with nothing more in the element: back to `1`. */
  #foldList(): void {
    if (this.#list !== TWO_CONSTANTS) return;
    this.length = this.#listEnd;
    this.#list = ONE_CONSTANT;
  }

  #punctuation(byte: number): void {
    this.#at++;
    this.#leading = false;
    switch (byte) {
      case OPEN:
        return this.#open();
      case CLOSE:
        return this.#close();
      case COMMA:
        return this.#comma();
      default:
        if (byte === CLOSE_BRACKET) this.#foldList();
        this.push(byte);
        this.#other(AFTER_PUNCTUATION);
    }
  }

  #open(): void {
    this.#depth++;
    const continuesRows = this.#rowEnd >= 0 && this.length === this.#rowEnd + 1 && this.bytes[this.#rowEnd] === COMMA;
    this.#rowStart = this.#mode === STRIP ? this.length : -1;
    if (!continuesRows) this.#rowEnd = -1;
    this.push(OPEN);
    this.#after = AFTER_PUNCTUATION;
    this.#list = NO_LIST;
    if (!this.#configNext) return;
    this.#configNext = false;
    this.#configDepth = this.#depth;
    this.#configArgument = 0;
  }

  #close(): void {
    this.#foldList();
    const isRow = this.#rowStart >= 0 && this.#list === ONE_CONSTANT;
    if (isRow && this.#rowEnd >= 0) {
      this.length = this.#rowEnd;
    } else {
      this.push(CLOSE);
      this.#rowEnd = isRow ? this.length : -1;
    }
    if (this.#depth === this.#configDepth) this.#configDepth = 0;
    if (this.#depth > 0) this.#depth--;
    this.#after = AFTER_PUNCTUATION;
    this.#rowStart = -1;
    this.#list = NO_LIST;
    this.#configNext = false;
  }

  #comma(): void {
    this.#foldList();
    this.push(COMMA);
    this.#after = AFTER_PUNCTUATION;
    this.#configNext = false;
    if (this.#depth === this.#configDepth) this.#configArgument++;
    if (this.#list === ONE_CONSTANT) {
      this.#list = CONSTANT_COMMA;
      return;
    }
    this.#list = NO_LIST;
    this.#rowStart = -1;
    if (this.length !== this.#rowEnd + 1) this.#rowEnd = -1;
  }

  #colon(): void {
    const next = this.#byteAt(1);
    this.#space();
    this.push(58);
    this.#at++;
    if (next === 58 || next === 61) {
      this.push(next);
      this.#at++;
    }
    this.#other(AFTER_TOKEN);
  }

  #operatorOrComment(byte: number): void {
    const next = this.#byteAt(1);
    if (byte === HYPHEN && next === HYPHEN) return this.#comment(skipLineComment(this.#source, this.#at, this.#end));
    if (byte === SLASH && next === STAR) return this.#comment(skipBlockComment(this.#source, this.#at, this.#end));
    if (this.#isSign(byte, next)) {
      this.#at++;
      return;
    }
    this.#space();
    do {
      this.push(this.#source[this.#at++] as number);
    } while (this.#at < this.#end && classOf(this.#source[this.#at]) === OPERATOR && !this.#commentStarts());
    this.#other(AFTER_TOKEN);
  }

  /** The sign of a number in a list of constants is part of the constant. */
  #isSign(byte: number, next: number | undefined): boolean {
    if ((byte !== HYPHEN && byte !== 43) || classOf(next) !== DIGIT || this.#mode !== STRIP || this.length === 0) return false;
    const last = this.bytes[this.length - 1];
    return this.#after === AFTER_PUNCTUATION && (last === OPEN || last === COMMA);
  }

  #commentStarts(): boolean {
    const byte = this.#source[this.#at];
    const next = this.#byteAt(1);
    return (byte === HYPHEN && next === HYPHEN) || (byte === SLASH && next === STAR);
  }

  #comment(end: number): void {
    if (end > this.#end) {
      // Unterminated: the server will refuse it, and so must the parser.
      this.#space();
      this.push(SLASH);
      this.push(STAR);
      this.#at = this.#end;
      return;
    }
    if (this.#leading && this.#isHint()) {
      this.copy(this.#source, this.#at, Math.min(end, this.#end));
      if (this.#source[this.#at] === HYPHEN) this.push(NEWLINE);
    }
    this.#at = end;
  }

  #isHint(): boolean {
    let at = this.#at + 2;
    while (at < this.#end && classOf(this.#source[at]) === SPACE) at++;
    for (let i = 0; i < HINT_MARK.length; i++) {
      if (at + i >= this.#end || lower(this.#source[at + i] as number) !== HINT_MARK.charCodeAt(i)) return false;
    }
    return true;
  }

  #dollar(): void {
    if (classOf(this.#byteAt(1)) === DIGIT) {
      let end = this.#at + 1;
      while (end < this.#end && classOf(this.#source[end]) === DIGIT) end++;
      return this.#constant(end, PARAMETER);
    }
    const tag = tagEnd(this.#source, this.#at, this.#end);
    if (tag < 0) return this.#punctuation(this.#source[this.#at] as number);
    this.#constant(literalEnd(this.#source, this.#at, this.#end, false), STRING);
  }

  /** Bookkeeping after a token that is no constant, comma or bracket. */
  #other(after: number): void {
    this.#leading = false;
    this.#after = after;
    this.#list = NO_LIST;
    this.#rowStart = -1;
    this.#rowEnd = -1;
    this.#configNext = false;
  }

  /** Words, literals and operators stand apart; nothing stands apart from punctuation. */
  #space(): void {
    if (this.#after === AFTER_TOKEN) this.push(BLANK);
  }
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, char => char.charCodeAt(0));
const NUMBER = ascii('1');
const STRING = ascii("''");
const BITS = ascii("b''");
const HEX = ascii("x''");
const UNICODE_STRING = ascii("u&''");
const PARAMETER = ascii('$1');

/** e, b, x or n in either case. */
function isStringPrefix(byte: number): boolean {
  const letter = lower(byte);
  return letter === 101 || letter === 98 || letter === 120 || letter === 110;
}

/** The fingerprint of one text as text; for tools and tests, not for the hot path. `null` when it is too long. */
export function fingerprint(sql: string | Uint8Array): string | null {
  const fingerprinter = new Fingerprinter();
  if (typeof sql === 'string') fingerprinter.scanText(sql);
  else fingerprinter.scan(sql);
  return fingerprinter.tooLong ? null : fingerprinter.text();
}
