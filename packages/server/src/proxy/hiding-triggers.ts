import type { CachedStatement } from '@understudy/core/sql';

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
