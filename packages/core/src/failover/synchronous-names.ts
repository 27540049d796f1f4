import { type MemberId, parseStreamName, streamName } from '../cluster/index.ts';

/** Whose acknowledgement a commit needs: `acks` of the cohort. */
export interface AckSet {
  /** Sorted by name. */
  readonly cohort: readonly MemberId[];
  readonly acks: number;
}

/** PostgreSQL's synchronous_standby_names for a term; empty when nobody's acknowledgement is needed. */
export function synchronousNames(set: AckSet, term: number): string {
  if (set.acks === 0) return '';
  return `ANY ${set.acks} (${set.cohort.map(id => streamName(id, term)).join(', ')})`;
}

const ANY = /^ANY (\d{1,4}) \(([^()]*)\)$/;

/** Reads what `synchronousNames` wrote; null for anything else and for names of another term. */
export function parseSynchronousNames(text: string, term: number): AckSet | null {
  if (text === '') return { cohort: [], acks: 0 };
  const match = ANY.exec(text);
  if (!match) return null;
  const names = match[2]!.split(',').map(name => parseStreamName(name.trim()));
  const cohort: MemberId[] = [];
  for (const name of names) {
    if (name === null || name.term !== term) return null;
    cohort.push(name.id);
  }
  const acks = Number(match[1]);
  return acks >= 1 && acks <= cohort.length ? { cohort: cohort.sort(), acks } : null;
}
