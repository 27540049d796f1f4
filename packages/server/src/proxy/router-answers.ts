import { formatToken, noteToken, readToken, writesElsewhere } from '@understudy/core/routing';
import type { RouterCommand } from '@understudy/core/sql';
import type { ClientUnit } from './client-unit.ts';
import { inFailedTransaction, mixedRouterCommand, ProxyFailure, standbyLevel } from './errors.ts';
import { type LocalResult, tagOnly } from './local-answer.ts';
import { showVariable } from './router-state.ts';
import type { SessionContext } from './session-context.ts';
import type { SessionState } from './session-state.ts';

const invalid = (sqlState: string, message: string): ProxyFailure => new ProxyFailure({ severity: 'ERROR', code: sqlState, message });

/** A result, or one that other workers must be asked for. */
type Result = LocalResult | Promise<LocalResult>;

/** The results of a unit that speaks to the router itself; `wait` when the primary must be asked first. */
export function runRouterUnit(unit: ClientUnit, state: SessionState, context: SessionContext): readonly Result[] | ProxyFailure | 'wait' {
  // Parsed and described only: the shape of the answer is asked for.
  const statements = unit.statements.length > 0 ? unit.statements : unit.texts.flatMap(t => t.unit.statements);
  const results: Result[] = [];
  for (const statement of statements) {
    if (statement.kind !== 'router') return mixedRouterCommand();
    const result = runRouterCommand(statement.command, state, context);
    if (result === 'wait' || result instanceof ProxyFailure) return result;
    results.push(result);
  }
  return results;
}

function runRouterCommand(command: RouterCommand, state: SessionState, context: SessionContext): Result | ProxyFailure | 'wait' {
  if (state.status === 'E') return inFailedTransaction();
  switch (command.kind) {
    case 'set': {
      const { setting } = command;
      if (setting.name === 'token') return takeToken(setting.value ?? '', state, context);
      state.scopes.set(setting, command.scope, state.status === 'I' ? 'outside' : 'inside');
      return tagOnly('SET');
    }
    case 'show': {
      const elsewhere = writesElsewhere(context.watch.topology);
      // The newest commits are made elsewhere: what the session has seen cannot be told by a position that anybody here gives.
      if (command.variable === 'token' && elsewhere !== null) return standbyLevel(elsewhere);
      const token = command.variable === 'token' ? tokenOf(state, context) : '';
      return token === null ? 'wait' : showVariable(command.variable, state.wishes, token, state.last);
    }
    case 'show-table':
      return context.tables.show(command.table);
    case 'invalid':
      return invalid(command.sqlState, command.message);
  }
}

/** The session's reads see from now on what the token's did. */
export function takeToken(text: string, state: SessionState, { freshness, watch }: SessionContext): LocalResult | ProxyFailure {
  if (text === '') return tagOnly('SET');
  if (freshness.systemIdentifier === null)
    return invalid('57P03', 'the cluster is not known yet, so that a token cannot be read; try again');
  const reading = readToken(text, freshness.systemIdentifier);
  if (!reading.ok) return invalid('22023', `invalid value for understudy.token: ${reading.message}`);
  noteToken(state.causality, reading.floor, watch.topology);
  return tagOnly('SET');
}

/** The session's floor as text; null while the primary is being asked for it. */
function tokenOf(state: SessionState, { freshness }: SessionContext): string | null {
  const floor = freshness.sessionFloor(state.causality);
  const { systemIdentifier } = freshness;
  return floor === null || systemIdentifier === null ? null : formatToken({ systemIdentifier, floor });
}
