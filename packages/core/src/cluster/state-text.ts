import { formatLsn, parseLsn } from './lsn.ts';

const LSN_MARK = 'lsn:';
/** Before a string that itself begins with a mark. */
const TEXT_MARK = 'text:';

/** JSON text of plain data in which bigints are LSNs (JSON has no bigint). */
export function encodeState(value: unknown): string {
  return JSON.stringify(value, (_key, v: unknown) => marked(v), 2);
}

/** Reads what `encodeState` wrote. Throws SyntaxError or RangeError on anything else. */
export function decodeState(text: string): unknown {
  return JSON.parse(text, (_key, v: unknown) => unmarked(v));
}

function marked(value: unknown): unknown {
  if (typeof value === 'bigint') return `${LSN_MARK}${formatLsn(value)}`;
  if (typeof value !== 'string') return value;
  return value.startsWith(LSN_MARK) || value.startsWith(TEXT_MARK) ? `${TEXT_MARK}${value}` : value;
}

function unmarked(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (value.startsWith(LSN_MARK)) return parseLsn(value.slice(LSN_MARK.length));
  return value.startsWith(TEXT_MARK) ? value.slice(TEXT_MARK.length) : value;
}
