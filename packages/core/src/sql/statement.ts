import type { Hints } from './hints.ts';
import type { Reason } from './reasons.ts';
import type { RouterCommand } from './router-commands.ts';

/**
 * Where the grammar alone lets a statement run, outside a transaction. Inside one, everything follows the transaction.
 * - `replica`: a read; any server that is fresh enough.
 * - `primary`: it writes, or cannot be proved not to, or its answer depends on the server or on the session's backend.
 * - `session`: it only changes or reads the session's own state (SET, transaction control, FETCH…): the server that the session is on.
 * - `router`: the router answers by itself (`SHOW understudy.token`).
 */
export type Demand = 'replica' | 'primary' | 'session' | 'router';

export type IsolationLevel = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

/** Transaction modes as written; null means not mentioned, so the session's default applies. */
export interface TransactionModes {
  readonly isolation: IsolationLevel | null;
  readonly readOnly: boolean | null;
  readonly deferrable: boolean | null;
}

export type TransactionControl =
  | { readonly kind: 'begin'; readonly modes: TransactionModes }
  | { readonly kind: 'commit'; readonly chain: boolean }
  | { readonly kind: 'rollback'; readonly chain: boolean }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'release'; readonly name: string }
  | { readonly kind: 'rollback-to'; readonly name: string }
  | { readonly kind: 'prepare-transaction' }
  | { readonly kind: 'commit-prepared' }
  | { readonly kind: 'rollback-prepared' };

/** `transaction` ends with the transaction; `unknown`: decided at run time by an argument that is not a constant. */
export type SettingScope = 'session' | 'transaction' | 'unknown';

/** What a statement does to the session beyond the data: what a pool must remember, replay or pin a backend for. */
export type SessionEffect =
  /** SET; `value` is the list as text, elements quoted as PostgreSQL would need them; null: SET … TO DEFAULT. */
  | { readonly kind: 'set'; readonly name: string; readonly value: string | null; readonly scope: SettingScope }
  | { readonly kind: 'reset'; readonly name: string }
  | { readonly kind: 'reset-all' }
  /** set_config(): the name when it is a constant; the value is never told, since the fingerprint folds it. */
  | { readonly kind: 'set-config'; readonly name: string | null; readonly scope: SettingScope }
  /** SET TRANSACTION, or SET transaction_read_only and the like: for the current transaction only. */
  | { readonly kind: 'set-transaction'; readonly modes: TransactionModes }
  | { readonly kind: 'import-snapshot' }
  | { readonly kind: 'export-snapshot' }
  /** SET SESSION CHARACTERISTICS: defaults for the transactions to come. */
  | { readonly kind: 'set-characteristics'; readonly modes: TransactionModes }
  | { readonly kind: 'listen'; readonly channel: string }
  /** `channel` null: UNLISTEN *. */
  | { readonly kind: 'unlisten'; readonly channel: string | null }
  | { readonly kind: 'temporary-object' }
  | { readonly kind: 'advisory-lock'; readonly scope: 'session' | 'transaction' }
  | { readonly kind: 'advisory-unlock'; readonly all: boolean }
  | { readonly kind: 'prepare'; readonly name: string }
  | { readonly kind: 'execute'; readonly name: string }
  /** `name` null: DEALLOCATE ALL. */
  | { readonly kind: 'deallocate'; readonly name: string | null }
  | { readonly kind: 'declare-cursor'; readonly name: string; readonly hold: boolean }
  | { readonly kind: 'fetch-cursor'; readonly name: string }
  /** `name` null: CLOSE ALL. */
  | { readonly kind: 'close-cursor'; readonly name: string | null }
  | { readonly kind: 'discard'; readonly target: 'all' | 'plans' | 'sequences' | 'temp' }
  | { readonly kind: 'load'; readonly library: string }
  /** currval() and lastval() answer only on the backend that ran nextval(). */
  | { readonly kind: 'read-sequence-state' }
  | { readonly kind: 'random-seed' };

/** A function that the statement calls, as written; `schema` is null when it is not qualified. Names are folded as PostgreSQL folds them. */
export interface FunctionCall {
  readonly schema: string | null;
  readonly name: string;
}

/**
 * One statement of the text. `reason` says why it is in its class. A `write` surely changes or locks something; a `read` only reads as far as the
 * grammar shows, and its reason tells when a function or a relation keeps it on the primary all the same.
 */
export type Statement =
  | { readonly kind: 'read'; readonly reason: Reason }
  | { readonly kind: 'write'; readonly reason: Reason }
  | { readonly kind: 'transaction'; readonly reason: Reason; readonly control: TransactionControl }
  | { readonly kind: 'session'; readonly reason: Reason; readonly effect: SessionEffect }
  | { readonly kind: 'utility'; readonly reason: Reason }
  | { readonly kind: 'copy'; readonly reason: Reason; readonly direction: 'in' | 'out'; readonly through: 'client' | 'server-file' }
  | { readonly kind: 'router'; readonly reason: Reason; readonly command: RouterCommand }
  | { readonly kind: 'unknown'; readonly reason: Reason };

/**
 * What one text (a simple Query or a Parse) does. Several statements in one text are one unit: one implicit transaction, one
 * server, the strongest demand. An empty text has no statements and demands `session`: whichever backend is at hand says EmptyQueryResponse.
 */
export interface Unit {
  readonly demand: Demand;
  /** Why `demand` is what it is. */
  readonly reason: Reason;
  readonly statements: readonly Statement[];
  /** Every effect on the session, in the order of the text, those of functions in reads included. */
  readonly effects: readonly SessionEffect[];
  /** Functions called anywhere in the text, each once. */
  readonly functions: readonly FunctionCall[];
  /** Those that neither the built-in table nor the facts know: look them up, then call `functionsChanged()`. */
  readonly unknownFunctions: readonly FunctionCall[];
  /** What a leading comment asks for; already applied to `demand` where it may be. */
  readonly hints: Hints;
  /**
   * True for one plain SELECT or VALUES without locks, effects, or any function that is volatile or unknown: its answer depends on
   * the data and the settings alone, so it may share a backend with other clients' reads.
   */
  readonly plainRead: boolean;
}
