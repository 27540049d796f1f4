import { type Signal, signal } from '@preact/signals';
import { readStatements } from '../api/client.ts';
import { type ShownStatement, type StatementFilter, withStatements } from '../model/statements.ts';

/** What the router routes, as long as the reader looks at it. */
export const statements: Signal<readonly ShownStatement[]> = signal<readonly ShownStatement[]>([]);
export const statementFilter: Signal<StatementFilter> = signal<StatementFilter>({ kind: 'all', text: '' });
/** Null: nobody looks. `seen` counts all statements since then, `why` says what broke the stream. */
export const watching: Signal<{ readonly seen: number; readonly why: string | null } | null> = signal(null);

let stop: AbortController | null = null;

export function watchStatements(token: string): void {
  stop?.abort();
  const mine = new AbortController();
  stop = mine;
  watching.value = { seen: 0, why: null };
  readStatements(token, mine.signal, sample => {
    statements.value = withStatements(statements.value, sample);
    watching.value = { seen: (watching.value?.seen ?? 0) + sample.seen, why: null };
  }).catch((error: unknown) => {
    if (!mine.signal.aborted)
      watching.value = { seen: watching.value?.seen ?? 0, why: error instanceof Error ? error.message : String(error) };
  });
}

export function unwatchStatements(): void {
  stop?.abort();
  stop = null;
  watching.value = null;
}
