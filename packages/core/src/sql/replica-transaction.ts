import { mayBeginOnReplica, NO_MODES } from './settings.ts';
import type { TransactionModes, Unit } from './statement.ts';

/**
 * Whether a text does nothing but begin a transaction that a replica can run from beginning to end: declared read only, by itself or by the session's
 * default_transaction_* settings, and not SERIALIZABLE, with which DEFERRABLE goes too.
 */
export function beginsOnReplica(unit: Unit, defaults: TransactionModes = NO_MODES): boolean {
  const [only, second] = unit.statements;
  if (second !== undefined || only?.kind !== 'transaction' || only.control.kind !== 'begin') return false;
  return unit.hints.route !== 'primary' && mayBeginOnReplica(only.control.modes, defaults);
}

/** The defaults for transactions that a session's settings hold, by name. */
export function transactionDefaults(settings: ReadonlyMap<string, string>): TransactionModes {
  const readOnly = settings.get('default_transaction_read_only');
  return {
    isolation: settings.get('default_transaction_isolation') === 'serializable' ? 'serializable' : null,
    readOnly: readOnly === undefined ? null : readOnly === 'on',
    deferrable: null,
  };
}
