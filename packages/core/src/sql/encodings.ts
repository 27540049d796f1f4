/** Client-only encodings whose characters may hold bytes that look like ASCII (src/include/mb/pg_wchar.h). */
const AMBIGUOUS_ENCODINGS: ReadonlySet<string> = new Set([
  'sjis',
  'shiftjis',
  'mskanji',
  'win932',
  'windows932',
  'shiftjis2004',
  'big5',
  'win950',
  'windows950',
  'gbk',
  'win936',
  'windows936',
  'uhc',
  'win949',
  'windows949',
  'gb18030',
  'johab',
]);

/**
 * Whether texts of a session can be read byte by byte: not in the encodings above, and not with standard_conforming_strings off, where a backslash
 * escapes in plain strings. Everything that such a session says belongs on the primary.
 */
export function isScannable(clientEncoding: string, standardConformingStrings: string): boolean {
  const name = clientEncoding.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return !AMBIGUOUS_ENCODINGS.has(name) && standardConformingStrings !== 'off';
}
