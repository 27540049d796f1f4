import type pg from 'pg';
import utils from 'pg/lib/utils.js';
import type { WireValue } from './lane-writer.ts';

/** More parameters than this, or a longer text of one, are not for a connection that others wait on. */
const MAX_VALUES = 64;
const MAX_VALUE_LENGTH = 8 * 1024;

/** Parameters as pg itself would send them; null: they are too large, or no list. Throws what pg throws for a value that cannot be sent. */
export function wireValues(values: unknown): readonly WireValue[] | null {
  if (values === undefined || values === null) return NONE;
  if (!Array.isArray(values) || values.length > MAX_VALUES) return null;
  const wire: WireValue[] = [];
  for (const value of values) {
    const sent = typeof value === 'string' ? value : (utils.prepareValue(value) as WireValue);
    if (sent !== null && sent.length > MAX_VALUE_LENGTH) return null;
    wire.push(sent);
  }
  return wire;
}

const NONE: readonly WireValue[] = [];

/** pg's result from the inside. */
export interface OpenResult extends pg.QueryResult {
  _parsers: ((text: string) => unknown)[];
  _prebuiltEmptyResultObject: object;
  parseRow(fields: readonly (string | null)[]): unknown;
  addCommandComplete(message: { readonly text: string }): void;
}
