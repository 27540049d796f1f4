import type { FunctionFacts, Volatility } from './functions.ts';
import type { FunctionCall } from './statement.ts';

/** Asks for the user-defined functions by schema and name, the most volatile of each name. One row of JSON, since its size is the database's business. */
export const ASK_FUNCTIONS: string = `SELECT pg_catalog.json_agg(f) FROM (
  SELECT n.nspname AS schema, p.proname AS name, pg_catalog.max(p.provolatile::pg_catalog.text) AS volatility
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog' AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  GROUP BY 1, 2) f`;

/** One line of {@link ASK_FUNCTIONS}. */
export interface FunctionRow {
  readonly schema: string;
  readonly name: string;
  /** pg_proc.provolatile */
  readonly volatility: string;
}

const VOLATILITY: Readonly<Record<string, Volatility>> = { i: 'immutable', s: 'stable', v: 'volatile' };
const STRENGTH: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 };

/** The answer to {@link ASK_FUNCTIONS}; a database without any has null. */
export function readFunctions(json: string | null | undefined): readonly FunctionRow[] {
  return JSON.parse(json ?? '[]') as readonly FunctionRow[];
}

/** What pg_proc of one database said when it was last read; before that, nothing is known. */
export class DatabaseFunctions implements FunctionFacts {
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
