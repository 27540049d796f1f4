import type { CachedStatement, FunctionCall, FunctionFacts, Volatility } from '@understudy/core/sql';

/** User-defined functions by schema and name, the most volatile of each name. One row, since its size is the database's business. */
export const FUNCTIONS: string = `SELECT pg_catalog.json_agg(f) FROM (
  SELECT n.nspname AS schema, p.proname AS name, pg_catalog.max(p.provolatile::pg_catalog.text) AS volatility
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog' AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  GROUP BY 1, 2) f`;

/**
 * Sources that may leave something in the session: settings that outlive the transaction, advisory locks of the session, temporary objects, LISTEN.
 * A regular expression of PostgreSQL's; what is made of strings at run time is not seen.
 */
const LEAVES_STATE = [
  String.raw`set_config(?![^;]*,\s*true\s*\))`,
  String.raw`\mset\s+(session\s+)?[a-z_.]+\s+to\M`,
  String.raw`\mset\s+(session\s+)?[a-z_]+\.[a-z_]+\s*=`,
  String.raw`advisory_lock`,
  String.raw`\mtemp(orary)?\s+(table|view|sequence)`,
  String.raw`\mlisten\M`,
  String.raw`\msetseed\M`,
].join('|');

/** Whether functions of triggers leave something in the session that fires them, by themselves or in a function that they name. */
export const HIDING_TRIGGERS: string = `SELECT EXISTS (
  SELECT 1 FROM pg_catalog.pg_proc t
  WHERE t.prorettype OPERATOR(pg_catalog.=) 'pg_catalog.trigger'::pg_catalog.regtype AND t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
    AND (t.prosrc OPERATOR(pg_catalog.~*) '${LEAVES_STATE}' OR EXISTS (
      SELECT 1 FROM pg_catalog.pg_proc f
      WHERE f.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND f.prosrc OPERATOR(pg_catalog.~*) '${LEAVES_STATE}'
        AND pg_catalog.strpos(t.prosrc, f.proname::pg_catalog.text) OPERATOR(pg_catalog.>) 0)))`;

/** Whether a statement that changes definitions may change those of functions or triggers. */
export function changesCode({ fingerprint }: CachedStatement): boolean {
  return /function|procedure|trigger|extension/i.test(Buffer.from(fingerprint).toString('latin1'));
}

const VOLATILITY: Readonly<Record<string, Volatility>> = { i: 'immutable', s: 'stable', v: 'volatile' };
const STRENGTH: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 };

/** One line of {@link FUNCTIONS}. */
interface FunctionRow {
  readonly schema: string;
  readonly name: string;
  readonly volatility: string;
}

/** The answer to {@link FUNCTIONS}; a database without any has null. */
export function readFunctions(json: string | null | undefined): readonly FunctionRow[] {
  return JSON.parse(json ?? '[]') as readonly FunctionRow[];
}

/** What pg_proc said when it was last read. */
export class Functions implements FunctionFacts {
  readonly #byName = new Map<string, Volatility>();
  readonly #byFullName = new Map<string, Volatility>();

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
