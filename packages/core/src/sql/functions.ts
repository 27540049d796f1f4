import { builtinRole } from './builtins.ts';
import type { ReasonCode } from './reasons.ts';
import type { FunctionCall } from './statement.ts';

/** Volatility as in pg_proc.provolatile. Several functions of one name: the most volatile of them. */
export type Volatility = 'immutable' | 'stable' | 'volatile';

/**
 * What is known of a database's functions, usually pg_proc read once per database and again after DDL.
 * `null`: not known. Must not throw and must be quick: it is asked once for each new statement.
 */
export interface FunctionFacts {
  volatility(call: FunctionCall): Volatility | null;
}

/**
 * The operator's last word, by `name` or `schema.name`, lower case unless the name was quoted when it was created.
 * `allow`: harmless on a replica whatever its volatility; `deny`: always on the primary. Deny wins.
 */
export interface FunctionOverrides {
  readonly allow: ReadonlySet<string>;
  readonly deny: ReadonlySet<string>;
}

export const NO_FACTS: FunctionFacts = { volatility: () => null };
export const NO_OVERRIDES: FunctionOverrides = { allow: new Set(), deny: new Set() };

/** What calling a function means for the statement: `plain` reads may share a backend, `harmless` ones may only go to a replica. */
export type FunctionJudgement =
  | { readonly kind: 'plain' }
  | { readonly kind: 'harmless' }
  | { readonly kind: 'primary'; readonly code: ReasonCode }
  | { readonly kind: 'unknown' };

const PLAIN: FunctionJudgement = { kind: 'plain' };
const HARMLESS: FunctionJudgement = { kind: 'harmless' };
const UNKNOWN: FunctionJudgement = { kind: 'unknown' };
const primary = (code: ReasonCode): FunctionJudgement => ({ kind: 'primary', code });

/** Volatile functions of extensions in wide use that neither write nor keep state: uuid-ossp and pgcrypto. */
const HARMLESS_EXTENSIONS: ReadonlySet<string> = new Set([
  'uuid_generate_v1',
  'uuid_generate_v1mc',
  'uuid_generate_v4',
  'gen_random_bytes',
  'gen_salt',
  'pgp_sym_encrypt',
  'pgp_sym_encrypt_bytea',
  'pgp_pub_encrypt',
  'pgp_pub_encrypt_bytea',
]);

/** Judges one function: the operator's lists first, then PostgreSQL's own functions, then the facts. */
export function judgeFunction(call: FunctionCall, facts: FunctionFacts, overrides: FunctionOverrides): FunctionJudgement {
  const full = call.schema === null ? call.name : `${call.schema}.${call.name}`;
  if (overrides.deny.has(full) || overrides.deny.has(call.name)) return primary('function-denied');
  if (overrides.allow.has(full) || overrides.allow.has(call.name)) return HARMLESS;
  const volatility = facts.volatility(call);
  if (call.schema === null || call.schema === 'pg_catalog') {
    const builtin = judgeBuiltin(call.name);
    // A user's function of the same name with other arguments may be the one that is meant.
    const shadowed = builtin?.kind === 'plain' && call.schema === null && volatility === 'volatile';
    if (builtin && !shadowed) return builtin;
  }
  if (call.schema !== null && /^pg_temp(_\d+)?$/.test(call.schema)) return primary('function-of-session');
  if (HARMLESS_EXTENSIONS.has(call.name)) return HARMLESS;
  if (volatility === null) return UNKNOWN;
  return volatility === 'volatile' ? primary('function-volatile') : PLAIN;
}

function judgeBuiltin(name: string): FunctionJudgement | null {
  const role = builtinRole(name);
  switch (role) {
    case null:
      return null;
    case 'plain':
      return PLAIN;
    case 'harmless':
      return HARMLESS;
    case 'writes':
      return primary('function-writes');
    case 'session':
      return primary('function-of-session');
    case 'server':
      return primary('function-of-server');
    case 'primary':
      return primary('function-of-primary');
    case 'volatile':
      return primary('function-volatile');
    default:
      return role satisfies never;
  }
}
