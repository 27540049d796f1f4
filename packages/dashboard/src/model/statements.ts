import type { RoutedStatement, StatementSample } from '../../../server/src/api/types.ts';

/** One statement as it is shown. */
export interface ShownStatement extends RoutedStatement {
  /** Its place in all that was shown, for the view. */
  readonly key: number;
  readonly atMs: number;
}

export interface StatementFilter {
  readonly kind: 'all' | RoutedStatement['kind'];
  readonly text: string;
}

/** Kept for looking through; a busy router fills this in seconds. */
const KEPT_MAX = 400;

/** The newest first. */
export function withStatements(kept: readonly ShownStatement[], { atMs, statements }: StatementSample): readonly ShownStatement[] {
  const next = (kept[0]?.key ?? 0) + 1;
  const news = statements.map((statement, i) => ({ ...statement, key: next + i, atMs }));
  return [...news.reverse(), ...kept].slice(0, KEPT_MAX);
}

/** Every word must occur in the text, the member or the reason. */
export function filterStatements(statements: readonly ShownStatement[], { kind, text }: StatementFilter): readonly ShownStatement[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return statements.filter(statement => {
    if (kind !== 'all' && statement.kind !== kind) return false;
    const haystack = `${statement.text} ${statement.member} ${statement.reason}`.toLowerCase();
    return words.every(word => haystack.includes(word));
  });
}
