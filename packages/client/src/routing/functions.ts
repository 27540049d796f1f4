import type { FunctionCall, FunctionFacts, Volatility } from '@understudy/core/sql';

/** User-defined functions by schema and name, the most volatile of each name. One row of JSON, since its size is the database's business. */
export const ASK_FUNCTIONS = `SELECT pg_catalog.json_agg(f) FROM (
  SELECT n.nspname AS schema, p.proname AS name, pg_catalog.max(p.provolatile::pg_catalog.text) AS volatility
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog' AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  GROUP BY 1, 2) f`;

export interface FunctionRow {
  readonly schema: string;
  readonly name: string;
  /** pg_proc.provolatile */
  readonly volatility: string;
}

const VOLATILITY: Readonly<Record<string, Volatility>> = { i: 'immutable', s: 'stable', v: 'volatile' };
const STRENGTH: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 };

/** What pg_proc said when it was last read ({@link ASK_FUNCTIONS}). */
export class FunctionCatalogue implements FunctionFacts {
  readonly #byName: Map<string, Volatility> = new Map();
  readonly #byFullName: Map<string, Volatility> = new Map();

  volatility(call: FunctionCall): Volatility | null {
    const found = call.schema === null ? this.#byName.get(call.name) : this.#byFullName.get(`${call.schema}.${call.name}`);
    return found ?? null;
  }

  replace(rows: readonly FunctionRow[]): void {
    this.#byName.clear();
    this.#byFullName.clear();
    for (const { schema, name, volatility } of rows) {
      const value = VOLATILITY[volatility] ?? 'volatile';
      this.#byFullName.set(`${schema}.${name}`, value);
      const before = this.#byName.get(name);
      if (before === undefined || STRENGTH[value] > STRENGTH[before]) this.#byName.set(name, value);
    }
  }
}
