import type { ParseTree, SqlParser } from '@understudy/core/sql';

let loading: Promise<SqlParser> | null = null;

/** PostgreSQL's own grammar (WebAssembly), loaded when the first statement needs it and kept for the process. */
export function sqlParser(): Promise<SqlParser> {
  loading ??= import('libpg-query').then(async ({ loadModule, parseSync }) => {
    await loadModule();
    return { parse: sql => parseSync(sql) as unknown as ParseTree };
  });
  return loading;
}
