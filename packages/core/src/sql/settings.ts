import type { ParseNode } from './parser.ts';
import { routerReset, routerSet } from './router-commands.ts';
import type { IsolationLevel, SessionEffect, SettingScope, Statement, TransactionModes } from './statement.ts';
import { constantText, isRecord, listField, recordField, tagged, textField } from './tree.ts';

export const NO_MODES: TransactionModes = { isolation: null, readOnly: null, deferrable: null };

const ISOLATION_LEVELS: readonly string[] = [
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
] satisfies IsolationLevel[];

/** Prefix of the router's own settings. */
export const ROUTER_PREFIX = 'understudy.';

/** The modes of BEGIN, SET TRANSACTION and the like. A list may name a mode twice: the last one counts, as in PostgreSQL. */
export function transactionModes(options: readonly unknown[]): TransactionModes {
  let modes = NO_MODES;
  for (const option of options) {
    const element = isRecord(option) ? recordField(option, 'DefElem') : null;
    if (element) modes = withMode(modes, textField(element, 'defname'), constantText(element['arg']) ?? '');
  }
  return modes;
}

function withMode(modes: TransactionModes, name: string, value: string): TransactionModes {
  switch (name) {
    case 'transaction_isolation':
      return { ...modes, isolation: isolationLevel(value) };
    case 'transaction_read_only':
      return { ...modes, readOnly: booleanSetting(value) };
    case 'transaction_deferrable':
      return { ...modes, deferrable: booleanSetting(value) };
    default:
      return modes;
  }
}

function isolationLevel(value: string): IsolationLevel | null {
  const folded = value.toLowerCase();
  return ISOLATION_LEVELS.includes(folded) ? (folded as IsolationLevel) : null;
}

/** A boolean as PostgreSQL reads one (bool.c): any unambiguous prefix of true, false, yes, no, on, off, 1 and 0. Null when it is none. */
export function booleanSetting(value: string): boolean | null {
  const folded = value.trim().toLowerCase();
  if (folded === '') return null;
  if (folded === '1' || folded === 'on' || 'true'.startsWith(folded) || 'yes'.startsWith(folded)) return true;
  if (folded === '0' || folded === 'of' || folded === 'off' || 'false'.startsWith(folded) || 'no'.startsWith(folded)) return false;
  return null;
}

/**
 * Whether a transaction may run on a replica: declared read only and not SERIALIZABLE, which recovery does not allow (predicate.c).
 * `defaults`: the session's default_transaction_* settings, for what BEGIN leaves open.
 */
export function mayBeginOnReplica(modes: TransactionModes, defaults: TransactionModes = NO_MODES): boolean {
  return (modes.readOnly ?? defaults.readOnly) === true && (modes.isolation ?? defaults.isolation) !== 'serializable';
}

/** SET and RESET in all their forms. */
export function classifySet(statement: ParseNode): Statement {
  const name = textField(statement, 'name').toLowerCase();
  const scope = statement['is_local'] === true ? 'transaction' : 'session';
  const kind = textField(statement, 'kind');
  if (name.startsWith(ROUTER_PREFIX)) {
    const variable = name.slice(ROUTER_PREFIX.length);
    const reason = { code: 'router-command', detail: name } as const;
    const resets = kind !== 'VAR_SET_VALUE';
    const command = resets ? routerReset(variable, scope) : routerSet(variable, settingWords(statement), scope);
    return { kind: 'router', reason, command };
  }
  return { kind: 'session', reason: { code: 'session-state', detail: name }, effect: setEffect(kind, name, scope, statement) };
}

function setEffect(kind: string, name: string, scope: SettingScope, statement: ParseNode): SessionEffect {
  switch (kind) {
    case 'VAR_RESET_ALL':
      return { kind: 'reset-all' };
    case 'VAR_RESET':
      return { kind: 'reset', name };
    case 'VAR_SET_MULTI':
      return setMulti(name, listField(statement, 'args'));
    case 'VAR_SET_DEFAULT':
      return { kind: 'set', name, value: null, scope };
    default: {
      const modes = withMode(NO_MODES, name, settingWords(statement).join(' '));
      if (modes !== NO_MODES) return { kind: 'set-transaction', modes };
      return { kind: 'set', name, value: settingWords(statement).map(quoted).join(', '), scope };
    }
  }
}

function setMulti(name: string, args: readonly unknown[]): SessionEffect {
  if (name === 'transaction snapshot') return { kind: 'import-snapshot' };
  const modes = transactionModes(args);
  return name === 'transaction' ? { kind: 'set-transaction', modes } : { kind: 'set-characteristics', modes };
}

/** The values of a SET as written; `SET TIME ZONE INTERVAL '…'` gives the text form that the setting timezone takes. */
function settingWords(statement: ParseNode): string[] {
  return listField(statement, 'args').map(argument => {
    const node = tagged(argument);
    if (node?.type === 'TypeCast') return `interval ${quoted(constantText(node.fields['arg']) ?? '')}`;
    return constantText(argument) ?? '';
  });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
