import type { SessionEffect } from '@understudy/core/sql';
import { frontend, Frontend } from '@understudy/wire';
import { type ClientMessage, type ClientUnit, forgetsAll } from './client-unit.ts';
import { type Expectation, GIVEN_PARSE_COMPLETE, VISIBLE } from './expectations.ts';
import { CLOSE_NOTHING, nameForUnknown, type PreparedStatement } from './prepared.ts';
import type { ServerConnection } from './server-connection.ts';
import { isSeenByParser } from './settings-set.ts';
import { isWorthPreparing, type ServerStatement, type Texts } from './statements.ts';

/** What the sending of a unit needs to know beyond the connection. */
export interface SendContext {
  readonly texts: Texts;
  readonly maxServerStatements: number;
}

/**
 * Writes the messages of a unit that were not sent yet to a server, under the server's names of prepared statements, and notes what will
 * be answered. A statement that the server lacks is prepared on the way.
 */
export function sendUnit(unit: ClientUnit, to: ServerConnection, context: SendContext): void {
  closeRetired(to, context.maxServerStatements);
  if (unit.effects.length > 0 && unit.effects.some(changesParsing)) to.prepared.inDoubt = true;
  for (let i = unit.sent; i < unit.messages.length; i++) sendMessage(unit.messages[i] as ClientMessage, to, context.texts);
  unit.sent = unit.messages.length;
  // Forgotten when it is sent, not when it is answered: what follows in the pipeline must be prepared anew.
  if (unit.effects.length > 0 && unit.texts.some(forgetsAll)) to.prepared.forgetAll();
}

/** After this effect texts may be read in another way than the connection's known settings say. */
function changesParsing(effect: SessionEffect): boolean {
  switch (effect.kind) {
    case 'set':
    case 'reset':
      return isSeenByParser(effect.name);
    case 'set-config':
      return effect.name === null || isSeenByParser(effect.name);
    case 'reset-all':
      return true;
    case 'discard':
      return effect.target === 'all';
    default:
      return false;
  }
}

function sendMessage(message: ClientMessage, to: ServerConnection, texts: Texts): void {
  switch (message.type) {
    case Frontend.query:
      // A simple Query drops the unnamed statement.
      to.prepared.dropUnnamed();
      return sendQuery(message, message.statement, to, texts);
    case Frontend.functionCall:
      to.prepared.groupEnds();
      return raw(message, to, VISIBLE.function);
    case Frontend.sync:
      to.prepared.groupEnds();
      return raw(message, to, VISIBLE.sync);
    case Frontend.execute:
      if (message.statement !== null && message.statement.deallocates !== null) drop(message.statement.deallocates, to, texts);
      return raw(message, to, VISIBLE.execute);
    case Frontend.parse:
      return sendParse(message, message.statement, to, texts);
    case Frontend.bind:
      return sendBind(message, message.statement, to, texts);
    case Frontend.describe:
      return sendDescribe(message, message.statement, to, texts);
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

function sendParse(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection, texts: Texts): void {
  if (statement === null) return raw(message, to, VISIBLE.parse);
  const taken = statement.conflictsWith;
  if (taken !== null && taken.state !== 'refused') {
    // The server itself refuses the name that is taken, in the right place of the pipeline.
    const existing = ensurePrepared(taken, to, texts);
    to.out.add(existing === null ? statementFrame(taken) : existing.parse);
    to.expect({ ...VISIBLE.parse, settle: () => (statement.state = 'refused') });
    return;
  }
  if (statement.deallocates !== null) return prepareDeallocate(statement, statement.deallocates, to, texts);
  const alone = statement.clientName === '' && (to.prepared.inDoubt || to.status === 'E' || !isWorthPreparing(statement.text));
  // Another server may have refused it a moment ago.
  if (statement.state === 'refused') statement.state = 'pending';
  if (alone) {
    statement.onServers = null;
    texts.counts.sent += 1;
    return raw(message, to, { ...VISIBLE.parse, settle: settles(statement, to.prepared.setUnnamed(statement)) });
  }
  const onServers = (statement.onServers = to.prepared.inDoubt
    ? texts.statementAlone(statement.text.tail, to.applied.parseScope)
    : texts.statementOf(statement.text, to.applied.parseScope));
  if (to.status !== 'E' && to.prepared.has(onServers)) {
    statement.state = 'accepted';
    texts.counts.reused += 1;
    to.expect(GIVEN_PARSE_COMPLETE);
    return;
  }
  texts.counts.sent += 1;
  prepare(statement, onServers, to, 'visible');
}

/** `deallocates`: the text is a DEALLOCATE of this statement, which the server knows by another name. */
function sendQuery(message: ClientMessage, deallocates: PreparedStatement | null, to: ServerConnection, texts: Texts): void {
  to.prepared.groupEnds();
  if (deallocates === null) return raw(message, to, VISIBLE.query);
  to.out.add(frontend.query(`DEALLOCATE "${drop(deallocates, to, texts)}"`));
  to.expect(VISIBLE.query);
}

/** A DEALLOCATE follows: the server must have what it is about to drop. Returns its name there. */
function drop(statement: PreparedStatement, to: ServerConnection, texts: Texts): string {
  const dropped = ensurePrepared(statement, to, texts);
  if (dropped === null) return '';
  to.prepared.forget(dropped);
  return dropped.serverName;
}

/** A prepared DEALLOCATE: it is told the server's name of its target. */
function prepareDeallocate(statement: PreparedStatement, target: PreparedStatement, to: ServerConnection, texts: Texts): void {
  const name = ensurePrepared(target, to, texts)?.serverName ?? '';
  statement.onServers = texts.statementAlone(Buffer.from(`DEALLOCATE "${name}"\0\0\0`), to.applied.parseScope);
  prepare(statement, statement.onServers, to, 'visible');
}

function prepare(statement: PreparedStatement, onServers: ServerStatement, to: ServerConnection, answer: 'visible' | 'hidden'): void {
  const settled = to.prepared.add(onServers);
  // Whatever became of an earlier attempt, the name is free then.
  to.out.add(onServers.close);
  to.expect(HIDDEN_CLOSE);
  to.out.add(onServers.parse);
  to.expect({ kind: 'parse', hidden: answer === 'hidden', settle: settles(statement, settled), rows: null });
}

/** What the server's answer to a Parse says of the connection and of the statement. */
function settles(statement: PreparedStatement, ofServer: (ok: boolean) => void): (ok: boolean) => void {
  return ok => {
    ofServer(ok);
    if (ok) statement.state = 'accepted';
    else if (statement.state === 'pending') statement.state = 'refused';
  };
}

const HIDDEN_CLOSE: Expectation = { ...VISIBLE.close, hidden: true };
const HIDDEN_PARSE: Expectation = { ...VISIBLE.parse, hidden: true };

/** After this the server has the statement: under the name that is returned, or null, as the unnamed one. */
function ensurePrepared(statement: PreparedStatement, to: ServerConnection, texts: Texts): ServerStatement | null {
  const { onServers } = statement;
  if (onServers === null && statement.clientName === '') {
    if (to.prepared.hasUnnamed(statement)) return null;
    to.out.add(statementFrame(statement));
    to.expect({ ...HIDDEN_PARSE, settle: to.prepared.setUnnamed(statement) });
    return null;
  }
  if (onServers !== null && to.prepared.has(onServers)) return onServers;
  // Under other settings the text may mean something else: others must not take it for theirs.
  const alike = !to.prepared.inDoubt && (onServers === null || onServers.scope === to.applied.parseScope);
  const made = alike
    ? (onServers ?? texts.statementOf(statement.text, to.applied.parseScope))
    : texts.statementAlone(statement.text.tail, to.applied.parseScope);
  statement.onServers = made;
  if (!to.prepared.has(made)) prepare(statement, made, to, 'hidden');
  return made;
}

function statementFrame(statement: PreparedStatement): Buffer {
  return frontend.parseWithTail('', statement.text.tail);
}

/** Its Parse failed or was passed over, so that to the client it is as unknown as one that never was. */
function isUnknown(statement: PreparedStatement | null): statement is null {
  return statement === null || statement.state === 'refused';
}

function sendBind(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection, texts: Texts): void {
  if (isUnknown(statement)) {
    const { statement: name } = frontend.readBindTarget(message.chunk, message.start, message.end);
    if (name === '') closeUnnamed(to);
    if (name === '' || nameForUnknown(name) === name) return raw(message, to, VISIBLE.bind);
    sendRenamedBind(message, nameForUnknown(name), to);
    return;
  }
  const onServers = ensurePrepared(statement, to, texts);
  if (onServers === null) raw(message, to, VISIBLE.bind);
  else sendRenamedBind(message, onServers.serverName, to);
}

function sendRenamedBind(message: ClientMessage, name: string, to: ServerConnection): void {
  const { chunk, start, end } = message;
  to.out.add(frontend.renamedBindHead(chunk, start, end, name));
  to.out.range(chunk, frontend.bindTailStart(chunk, start, end), end);
  to.expect(VISIBLE.bind);
}

function sendDescribe(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection, texts: Texts): void {
  if (message.ofPortal) return raw(message, to, VISIBLE.describe);
  if (isUnknown(statement)) return sendUnknownTarget(message, to);
  const onServers = ensurePrepared(statement, to, texts);
  if (onServers === null) return raw(message, to, VISIBLE.describe);
  to.out.add(onServers.describe);
  to.expect(VISIBLE.describe);
}

/** The client has no unnamed statement; what the server has under no name is another client's. */
function closeUnnamed(to: ServerConnection): void {
  to.prepared.dropUnnamed();
  to.out.add(CLOSE_UNNAMED);
  to.expect(HIDDEN_CLOSE);
}

const CLOSE_UNNAMED: Buffer = frontend.close({ kind: 'statement', name: '' });

function sendUnknownTarget(message: ClientMessage, to: ServerConnection): void {
  const { name } = frontend.readNamedTarget(message.chunk, message.start, message.end);
  if (name === '') closeUnnamed(to);
  const target = { kind: 'statement', name: nameForUnknown(name) } as const;
  if (message.type === Frontend.describe) to.out.add(frontend.describe(target));
  else to.out.add(frontend.close(target));
  to.expect(message.type === Frontend.describe ? VISIBLE.describe : VISIBLE.close);
}

/** The statement may be another client's as well: it stays on the server, where only its disuse ends it. */
function sendClose(message: ClientMessage, statement: PreparedStatement | null, to: ServerConnection): void {
  if (message.ofPortal) return raw(message, to, VISIBLE.close);
  if (statement === null) return sendUnknownTarget(message, to);
  if (statement.clientName === '' && statement.onServers === null) {
    to.prepared.dropUnnamed();
    return raw(message, to, VISIBLE.close);
  }
  to.out.add(CLOSE_NOTHING);
  to.expect(VISIBLE.close);
}

function closeRetired(to: ServerConnection, limit: number): void {
  for (const { close } of to.prepared.takeClosable(limit)) {
    to.out.add(close);
    to.expect(HIDDEN_CLOSE);
  }
}
