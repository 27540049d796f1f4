import { backend, Frontend, type TransactionStatus } from '@understudy/wire';
import type { ClientUnit } from './client-unit.ts';

/** The result of a statement that no server sees: a table of text, or only a tag. */
export interface LocalResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly tag: string;
}

export const isReady = (result: LocalResult | Promise<LocalResult>): result is LocalResult => !(result instanceof Promise);

export const tagOnly = (tag: string): LocalResult => ({ columns: [], rows: [], tag });

/** All messages that PostgreSQL would answer the unit with, had it known the statement. `results` in the order of the executions. */
export function answerLocally(unit: ClientUnit, results: readonly LocalResult[], status: TransactionStatus): Buffer[] {
  const out: Buffer[] = [];
  if (unit.kind !== 'extended') {
    for (const result of results) {
      if (result.columns.length > 0) out.push(backend.rowDescription(result.columns));
      pushRows(out, result);
    }
    out.push(backend.READY[status]);
    return out;
  }
  let next = 0;
  for (const message of unit.messages) {
    const result = results[Math.min(next, results.length - 1)] ?? tagOnly('');
    switch (message.type) {
      case Frontend.parse:
        out.push(backend.PARSE_COMPLETE);
        break;
      case Frontend.bind:
        out.push(backend.BIND_COMPLETE);
        break;
      case Frontend.close:
        out.push(backend.CLOSE_COMPLETE);
        break;
      case Frontend.describe:
        if (!message.ofPortal) out.push(backend.parameterDescription([]));
        out.push(result.columns.length > 0 ? backend.rowDescription(result.columns) : backend.NO_DATA);
        break;
      case Frontend.execute:
        pushRows(out, result);
        next += 1;
        break;
      case Frontend.sync:
        out.push(backend.READY[status]);
        break;
    }
  }
  return out;
}

function pushRows(out: Buffer[], result: LocalResult): void {
  for (const row of result.rows) out.push(backend.dataRow(row));
  out.push(backend.commandComplete(result.tag));
}
