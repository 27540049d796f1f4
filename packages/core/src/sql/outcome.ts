import type { Demand, Statement } from './statement.ts';

/** Transaction status as ReadyForQuery tells it: idle, in a transaction, in a failed one. */
export type TransactionState = 'I' | 'T' | 'E';

/** Statements that run together, and where they may run. */
export interface StatementGroup {
  readonly statements: readonly Statement[];
  readonly demand: Demand;
}

/** True when one of them may have changed data: everything but proven reads, session commands and transaction control. */
export function groupWrites({ statements, demand }: StatementGroup): boolean {
  return demand !== 'replica' && statements.some(statementWrites);
}

function statementWrites(statement: Statement): boolean {
  const { reason } = statement;
  switch (statement.kind) {
    case 'write':
    case 'unknown':
      return true;
    case 'utility':
      return reason.code !== 'show' && reason.code !== 'session-state';
    case 'copy':
      return reason.code !== 'copy-out';
    case 'read':
      return reason.code.startsWith('function');
    case 'session':
      return statement.effect.kind === 'execute';
    case 'transaction':
      return statement.control.kind === 'commit-prepared';
    case 'router':
      return false;
    default:
      return statement satisfies never;
  }
}

/** True when the group, once a server has it, may commit something: then its loss leaves the outcome unknown. */
export function groupMayCommit(group: StatementGroup, before: TransactionState, wroteBefore: boolean): boolean {
  let open = before !== 'I';
  let wrote = wroteBefore;
  for (const s of group.statements) {
    if (s.kind === 'transaction') {
      if (s.control.kind === 'commit' || s.control.kind === 'prepare-transaction') {
        if (wrote) return true;
        open = s.control.kind === 'commit' && s.control.chain;
      } else if (s.control.kind === 'commit-prepared' || s.control.kind === 'rollback-prepared') return true;
      else if (s.control.kind === 'begin') open = true;
      else if (s.control.kind === 'rollback') {
        open = s.control.chain;
        wrote = false;
      }
    } else if (group.demand !== 'replica' && statementWrites(s)) wrote = true;
  }
  return !open && wrote;
}

/** Transaction status after the statements, if none of them fails. */
export function stateAfter(statements: readonly Statement[], before: TransactionState): TransactionState {
  let status = before;
  for (const s of statements) {
    if (s.kind !== 'transaction') continue;
    if (s.control.kind === 'begin') status = status === 'I' ? 'T' : status;
    else if (s.control.kind === 'commit' || s.control.kind === 'rollback') status = s.control.chain ? 'T' : 'I';
    else if (s.control.kind === 'prepare-transaction') status = 'I';
  }
  return status;
}

/** How the statements end a transaction that is already lost: COMMIT and ROLLBACK both end it, anything else does not. */
export function endOfTransaction(statements: readonly Statement[]): 'commit' | 'rollback' | null {
  const only = statements.length === 1 ? statements[0] : undefined;
  if (only?.kind !== 'transaction') return null;
  return only.control.kind === 'commit' || only.control.kind === 'rollback' ? only.control.kind : null;
}
