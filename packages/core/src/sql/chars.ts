/** Classes of bytes as PostgreSQL's scanner tells them apart (src/backend/parser/scan.l). */
export const SPACE = 1;
export const WORD = 2;
export const DIGIT = 3;
export const OPERATOR = 4;
export const PUNCTUATION = 5;
export const SINGLE_QUOTE = 6;
export const DOUBLE_QUOTE = 7;
export const DOLLAR = 8;
export const COLON = 9;
export const DOT = 10;
export const SEMICOLON = 11;

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(256).fill(PUNCTUATION);
  const put = (chars: string, kind: number): void => {
    for (const char of chars) classes[char.charCodeAt(0)] = kind;
  };
  put(' \t\n\r\f\v', SPACE);
  put('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', WORD);
  put('0123456789', DIGIT);
  put('~!@#^&|`?+-*/%<>=', OPERATOR);
  put("'", SINGLE_QUOTE);
  put('"', DOUBLE_QUOTE);
  put('$', DOLLAR);
  put(':', COLON);
  put('.', DOT);
  put(';', SEMICOLON);
  // Every byte above 127 belongs to an identifier, whatever character it is part of.
  return classes.fill(WORD, 128);
}

export const BYTE_CLASS: Uint8Array = buildClasses();

/** The class of a byte; 0 past the end. */
export function classOf(byte: number | undefined): number {
  return byte === undefined ? 0 : (BYTE_CLASS[byte] as number);
}

/** 1 for what may follow the first byte of an unquoted identifier: letters, digits, `_`, `$` and all above 127. */
export const WORD_PART: Uint8Array = BYTE_CLASS.map(kind => (kind === WORD || kind === DIGIT || kind === DOLLAR ? 1 : 0));

/** ASCII lower case; other bytes as they are. */
export function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
