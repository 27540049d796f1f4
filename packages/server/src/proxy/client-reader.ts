import type { CachedStatement, SqlClassifier } from '@understudy/core/sql';
import { type FrameHandler, Frontend, frontend, HEADER_BYTES, ProtocolError } from '@understudy/wire';
import { addText, type ClientMessage, type ClientUnit, forgetsAll, newUnit } from './client-unit.ts';
import type { PreparedStatement } from './prepared.ts';
import type { KnownText, Texts } from './statements.ts';

/** Prepared statements that one client may hold at once. */
const MAX_STATEMENTS = 10_000;
/** Portals whose statement is remembered. */
const MAX_PORTALS = 1_000;

/** Who takes a client's work. */
export interface UnitReceiver {
  /** A unit is whole, or must be served as far as it goes (`complete` tells which). Called again for each further piece of it. */
  onUnit(unit: ClientUnit): void;
  /** A piece of COPY data, CopyDone or CopyFail, which belongs to the statement that runs. */
  onCopy(message: ClientMessage): void;
  /** A Sync without anything before it. True: it belongs to the COPY that runs. */
  takesLoneSync(message: ClientMessage): boolean;
  onTerminate(): void;
  nowMs(): number;
}

/**
 * Makes units of work of a client's messages, and keeps what names mean: statements and portals. Names are given their meaning in the order
 * of arrival, so a pipeline means what it says even when its parts run on different servers.
 */
export class ClientReader implements FrameHandler {
  readonly #receiver: UnitReceiver;
  readonly #classifier: SqlClassifier;
  readonly #texts: Texts;
  /** An extended unit of this many bytes is served before its Sync comes, so that no client can fill the memory. */
  readonly #maxOpenBytes: number;
  readonly #statements = new Map<string, PreparedStatement>();
  readonly #portals = new Map<string, PreparedStatement | null>();
  #building: ClientUnit | null = null;

  constructor(receiver: UnitReceiver, classifier: SqlClassifier, texts: Texts, maxOpenBytes: number) {
    this.#receiver = receiver;
    this.#classifier = classifier;
    this.#texts = texts;
    this.#maxOpenBytes = maxOpenBytes;
  }

  onFrame(type: number, chunk: Buffer, start: number, end: number): void {
    switch (type) {
      case Frontend.query:
        return this.#query(chunk, start, end);
      case Frontend.parse:
        return this.#parse(chunk, start, end);
      case Frontend.bind:
        return this.#bind(chunk, start, end);
      case Frontend.describe:
      case Frontend.close:
        return this.#named(type, chunk, start, end);
      case Frontend.execute:
        return this.#execute(chunk, start, end);
      case Frontend.sync:
        return this.#sync(chunk, start, end);
      case Frontend.flush:
        return this.#flush(chunk, start, end);
      case Frontend.functionCall:
        return this.#alone('function', message(type, chunk, start, end, null), null);
      case Frontend.copyData:
      case Frontend.copyDone:
      case Frontend.copyFail:
        return this.#receiver.onCopy(message(type, chunk, start, end, null));
      case Frontend.terminate:
        return this.#receiver.onTerminate();
      default:
        throw new ProtocolError(`invalid frontend message type ${type}`);
    }
  }

  /** Only COPY data comes in parts. */
  onPart(type: number, chunk: Buffer, start: number, end: number, _last: boolean): void {
    this.#receiver.onCopy(message(type, chunk, start, end, null));
  }

  #query(chunk: Buffer, start: number, end: number): void {
    if (chunk[end - 1] !== 0 || end - start <= HEADER_BYTES) throw new ProtocolError('a Query message has no end');
    this.#statements.delete('');
    const sql = this.#classifier.classifyBytes(chunk, start + HEADER_BYTES, end - 1);
    const target = this.#deallocated(sql);
    this.#forget(sql, target);
    this.#alone('query', message(Frontend.query, chunk, start, end, target), sql);
  }

  /** A message that needs no Sync. Messages of the extended protocol before it, without Sync, are one transaction with it. */
  #alone(kind: 'query' | 'function', sent: ClientMessage, sql: CachedStatement | null): void {
    const unit = this.#building ?? newUnit(kind, this.#receiver.nowMs());
    this.#building = null;
    unit.complete = true;
    if (sql === null) runUnknown(unit);
    else addText(unit, sql, true);
    this.#receiver.onUnit(withMessage(unit, sent));
  }

  /** The statement that a lone DEALLOCATE names, if it was prepared over the protocol: the server knows it by another name. */
  #deallocated(sql: CachedStatement): PreparedStatement | null {
    const effect = sql.unit.statements.length === 1 ? sql.unit.effects[0] : undefined;
    return effect?.kind === 'deallocate' && effect.name !== null ? (this.#statements.get(effect.name) ?? null) : null;
  }

  /** A text that runs takes names away, in the order of arrival. */
  #forget(sql: CachedStatement, target: PreparedStatement | null): void {
    if (target !== null) this.#statements.delete(target.clientName);
    else if (forgetsAll(sql)) {
      for (const name of this.#statements.keys()) if (name !== '') this.#statements.delete(name);
    }
  }

  #parse(chunk: Buffer, start: number, end: number): void {
    const nameEnd = chunk.indexOf(0, start + HEADER_BYTES);
    const textEnd = nameEnd < 0 ? -1 : chunk.indexOf(0, nameEnd + 1);
    if (textEnd < 0 || textEnd >= end) throw new ProtocolError('a Parse message has no end');
    const name = chunk.toString('latin1', start + HEADER_BYTES, nameEnd);
    const text = this.#texts.find(chunk, nameEnd + 1, textEnd, end);
    const statement = this.#remember(name, text);
    const unit = this.#unit();
    addText(unit, text.sql, false);
    this.#add(unit, message(Frontend.parse, chunk, start, end, statement));
  }

  #remember(name: string, text: KnownText): PreparedStatement {
    if (this.#statements.size >= MAX_STATEMENTS && !this.#statements.has(name)) throw new ProtocolError('too many prepared statements');
    const before = name === '' ? null : (this.#statements.get(name) ?? null);
    const statement: PreparedStatement = {
      clientName: name,
      text,
      onServers: null,
      sql: text.sql,
      conflictsWith: before !== null && before.state !== 'refused' ? before : null,
      deallocates: this.#deallocated(text.sql),
      state: 'pending',
    };
    if (statement.conflictsWith === null) this.#statements.set(name, statement);
    return statement;
  }

  #bind(chunk: Buffer, start: number, end: number): void {
    const target = frontend.readBindTarget(chunk, start, end);
    const statement = this.#statements.get(target.statement) ?? null;
    this.#portals.set(target.portal, statement);
    // Portals end with their transaction, which cannot be seen from here: the oldest go. What runs an unknown one goes to the primary.
    if (this.#portals.size > MAX_PORTALS) this.#portals.delete(this.#portals.keys().next().value as string);
    const unit = this.#unit();
    if (statement !== null) addText(unit, statement.sql, false);
    this.#add(unit, message(Frontend.bind, chunk, start, end, statement));
  }

  #named(type: number, chunk: Buffer, start: number, end: number): void {
    const target = frontend.readNamedTarget(chunk, start, end);
    const ofPortal = target.kind === 'portal';
    const statement = (ofPortal ? this.#portals.get(target.name) : this.#statements.get(target.name)) ?? null;
    const unit = this.#unit();
    if (type === Frontend.close) {
      if (ofPortal) this.#portals.delete(target.name);
      else this.#statements.delete(target.name);
    } else if (statement !== null) addText(unit, statement.sql, false);
    this.#add(unit, { type, chunk, start, end, statement, ofPortal });
  }

  #execute(chunk: Buffer, start: number, end: number): void {
    const { portal } = frontend.readExecute(chunk, start, end);
    const statement = this.#portals.get(portal) ?? null;
    const unit = this.#unit();
    if (statement !== null) {
      addText(unit, statement.sql, true);
      this.#forget(statement.sql, statement.deallocates);
    } else runUnknown(unit);
    this.#add(unit, message(Frontend.execute, chunk, start, end, statement));
  }

  #sync(chunk: Buffer, start: number, end: number): void {
    const sync = message(Frontend.sync, chunk, start, end, null);
    if (this.#building === null && this.#receiver.takesLoneSync(sync)) return;
    const unit = withMessage(this.#unit(), sync);
    unit.complete = true;
    this.#building = null;
    this.#receiver.onUnit(unit);
  }

  #flush(chunk: Buffer, start: number, end: number): void {
    if (this.#building === null) return;
    this.#receiver.onUnit(withMessage(this.#building, message(Frontend.flush, chunk, start, end, null)));
  }

  #unit(): ClientUnit {
    this.#building ??= newUnit('extended', this.#receiver.nowMs());
    return this.#building;
  }

  #add(unit: ClientUnit, added: ClientMessage): void {
    withMessage(unit, added);
    if (unit.bytes >= this.#maxOpenBytes) this.#receiver.onUnit(unit);
  }
}

/** The unit runs something that the proxy has not seen the text of. */
function runUnknown(unit: ClientUnit): void {
  unit.runsUnknown = true;
  unit.demand = 'primary';
}

function message(type: number, chunk: Buffer, start: number, end: number, statement: PreparedStatement | null): ClientMessage {
  return { type, chunk, start, end, statement, ofPortal: false };
}

function withMessage(unit: ClientUnit, added: ClientMessage): ClientUnit {
  unit.messages.push(added);
  unit.bytes += added.end - added.start;
  return unit;
}
