import { frontend, Frontend } from '@understudy/wire';
import { type ClientMessage, type ClientUnit, forgetsAll } from './client-unit.ts';
import { type Expectation, VISIBLE } from './expectations.ts';
import { nameForUnknown, type PreparedStatement } from './prepared.ts';
import type { ServerConnection } from './server-connection.ts';

/**
 * Writes the messages of a unit that were not sent yet to a server, under the server's names of prepared statements, and notes what will
 * be answered. A statement that the server lacks is prepared on the way.
 */
export function sendUnit(unit: ClientUnit, to: ServerConnection): void {
  closeForgotten(to);
  for (let i = unit.sent; i < unit.messages.length; i++) sendMessage(unit.messages[i] as ClientMessage, to);
  unit.sent = unit.messages.length;
  // Forgotten when it is sent, not when it is answered: what follows in the pipeline must be prepared anew.
  if (unit.effects.length > 0 && unit.texts.some(forgetsAll)) to.prepared.forgetAll();
}

function sendMessage(message: ClientMessage, to: ServerConnection): void {
  switch (message.type) {
    case Frontend.query:
      // A simple Query drops the unnamed statement.
      to.prepared.unnamed = null;
      if (message.statement !== null) dropFor(message.statement, to);
      return raw(message, to, VISIBLE.query);
    case Frontend.functionCall:
      return raw(message, to, VISIBLE.function);
    case Frontend.sync:
      return raw(message, to, VISIBLE.sync);
    case Frontend.execute:
      if (message.statement !== null && message.statement.deallocates !== null) dropFor(message.statement.deallocates, to);
      return raw(message, to, VISIBLE.execute);
    case Frontend.parse:
      return sendParse(message, message.statement, to);
    case Frontend.bind:
      return sendBind(message, message.statement, to);
    case Frontend.describe:
      return sendDescribe(message, message.statement, to);
    case Frontend.close:
      return sendClose(message, message.statement, to);
    case Frontend.copyDone:
    case Frontend.copyFail:
      to.expectations.copyEnded();
      return raw(message, to, null);
    default:
      return raw(message, to, null);
  }
}

function raw(message: ClientMessage, to: ServerConnection, expectation: Expectation | null): void {
  to.out.range(message.chunk, message.start, message.end);
  if (expectation !== null) to.expect(expectation);
}

const frameOf = (message: ClientMessage): Buffer => message.chunk.subarray(message.start, message.end);

function sendParse(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection): void {
  if (statement === null) return raw(message, to, VISIBLE.parse);
  if (statement.clientName === '') {
    to.prepared.unnamed = statement;
    return raw(message, to, VISIBLE.parse);
  }
  const taken = statement.conflictsWith;
  if (taken !== null && taken.state !== 'refused') {
    // The server itself refuses the name that is taken, in the right place of the pipeline.
    ensurePrepared(taken, to);
    to.out.add(frontend.renameParse(statement.frame, taken.serverName));
    to.expect({ ...VISIBLE.parse, settle: () => (statement.state = 'refused') });
    return;
  }
  prepare(statement, to, 'visible');
}

/** A DEALLOCATE follows: the server must have what it is about to drop. */
function dropFor(statement: PreparedStatement, to: ServerConnection): void {
  ensurePrepared(statement, to);
  to.prepared.forget(statement);
}

function prepare(statement: PreparedStatement, to: ServerConnection, answer: 'visible' | 'hidden'): void {
  to.prepared.add(statement);
  if (answer === 'hidden') {
    // Whatever became of an earlier attempt, the name is free now.
    to.out.add(frontend.close({ kind: 'statement', name: statement.serverName }));
    to.expect({ ...VISIBLE.close, hidden: true });
  }
  to.out.add(frontend.renameParse(statement.frame, statement.serverName));
  const settle = (ok: boolean): void => {
    if (ok) statement.state = 'accepted';
    else {
      to.prepared.forget(statement);
      if (statement.state === 'pending') statement.state = 'refused';
    }
  };
  to.expect({ kind: 'parse', hidden: answer === 'hidden', settle, rows: null });
}

/** After this the server has the statement under its server name, or under '' for the unnamed one. */
function ensurePrepared(statement: PreparedStatement, to: ServerConnection): void {
  if (statement.clientName === '') {
    if (to.prepared.unnamed === statement) return;
    to.prepared.unnamed = statement;
    to.out.add(statement.frame);
    to.expect({ ...VISIBLE.parse, hidden: true });
  } else if (!to.prepared.has(statement)) prepare(statement, to, 'hidden');
}

function sendBind(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection): void {
  if (statement === null) {
    const { statement: name } = frontend.readBindTarget(message.chunk, message.start, message.end);
    if (name === '' || nameForUnknown(name) === name) return raw(message, to, VISIBLE.bind);
    sendRenamedBind(message, nameForUnknown(name), to);
    return;
  }
  ensurePrepared(statement, to);
  if (statement.clientName === '') raw(message, to, VISIBLE.bind);
  else sendRenamedBind(message, statement.serverName, to);
}

function sendRenamedBind(message: ClientMessage, name: string, to: ServerConnection): void {
  const [head, rest] = frontend.renameBind(frameOf(message), name);
  to.out.add(head);
  to.out.add(rest);
  to.expect(VISIBLE.bind);
}

function sendDescribe(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection): void {
  if (message.ofPortal) return raw(message, to, VISIBLE.describe);
  if (statement === null) return sendUnknownTarget(message, to);
  ensurePrepared(statement, to);
  if (statement.clientName === '') return raw(message, to, VISIBLE.describe);
  to.out.add(frontend.describe({ kind: 'statement', name: statement.serverName }));
  to.expect(VISIBLE.describe);
}

function sendUnknownTarget(message: ClientMessage, to: ServerConnection): void {
  const { name } = frontend.readNamedTarget(message.chunk, message.start, message.end);
  const target = { kind: 'statement', name: nameForUnknown(name) } as const;
  if (message.type === Frontend.describe) to.out.add(frontend.describe(target));
  else to.out.add(frontend.close(target));
  to.expect(message.type === Frontend.describe ? VISIBLE.describe : VISIBLE.close);
}

function sendClose(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection): void {
  if (message.ofPortal) return raw(message, to, VISIBLE.close);
  if (statement === null) return sendUnknownTarget(message, to);
  if (statement.clientName === '') {
    to.prepared.unnamed = null;
    return raw(message, to, VISIBLE.close);
  }
  to.prepared.forget(statement);
  to.out.add(frontend.close({ kind: 'statement', name: statement.serverName }));
  to.expect({ ...VISIBLE.close, settle: ok => (ok ? undefined : to.prepared.closeLater(statement)) });
}

/** Statements that the client closed while it was served elsewhere. */
function closeForgotten(to: ServerConnection): void {
  for (const name of to.prepared.takeClosable()) {
    to.out.add(frontend.close({ kind: 'statement', name }));
    to.expect({ ...VISIBLE.close, hidden: true });
  }
}
