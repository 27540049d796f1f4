import type { RouterCommand, RouterVariable } from '@understudy/core/sql';
import pg from 'pg';

const TEXT_OID = 25;

/** A pg result that no server gave. */
export function localResult(
  command: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  rowMode?: string,
): pg.QueryResult {
  const result = new pg.Result(rowMode as string, undefined as never) as unknown as pg.QueryResult & {
    addFields(fields: unknown[]): void;
    parseRow(values: readonly string[]): unknown;
  };
  if (columns.length > 0) {
    result.addFields(
      columns.map(name => ({
        name,
        tableID: 0,
        columnID: 0,
        dataTypeID: TEXT_OID,
        dataTypeSize: -1,
        dataTypeModifier: -1,
        format: 'text',
      })),
    );
    for (const row of rows) result.rows.push(result.parseRow(row) as never);
    result.rowCount = rows.length;
  }
  result.command = command;
  return result;
}

/** The single statement about the router in a text; null when there is another or none. */
export function routerCommand(statements: readonly { readonly kind: string; readonly command?: RouterCommand }[]): RouterCommand | null {
  return statements.length === 1 ? (statements[0]?.command ?? null) : null;
}

export function shown(variable: RouterVariable, value: string, rowMode?: string): pg.QueryResult {
  return localResult('SHOW', [`understudy.${variable}`], [[value]], rowMode);
}
