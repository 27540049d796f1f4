import { createRequire } from 'node:module';
import type { FunctionFacts, ParseTree, SqlParser } from '../../src/sql/index.ts';

interface LibPgQuery {
  loadModule(): Promise<void>;
  parseSync(sql: string): ParseTree;
}

// Its ES module build has no types that this compiler resolves; the CommonJS one loads everywhere.
const library = createRequire(import.meta.url)('libpg-query') as LibPgQuery;

/** The real grammar. */
export async function loadParser(): Promise<SqlParser> {
  await library.loadModule();
  return { parse: sql => library.parseSync(sql) };
}

/** A database with a few functions of its own. */
export const FACTS: FunctionFacts = {
  volatility({ schema, name }) {
    if (name.startsWith('known_')) return name === 'known_volatile' ? 'volatile' : name === 'known_stable' ? 'stable' : 'immutable';
    if (name === 'crypt') return 'immutable';
    return name === 'lower' && schema === null ? 'volatile' : null;
  },
};

export const OVERRIDES = { allow: new Set(['allowed_function', 'app.allowed_too']), deny: new Set(['denied_function', 'app.denied_too']) };
