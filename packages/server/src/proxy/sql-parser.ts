import type { ParseTree, SqlParser } from '@understudy/core/sql';
import { loadModule, parseSync } from 'libpg-query';

/** PostgreSQL's own grammar, loaded once. */
export async function sqlParser(): Promise<SqlParser> {
  await loadModule();
  return { parse: sql => parseSync(sql) as unknown as ParseTree };
}
