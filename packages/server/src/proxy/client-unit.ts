import {
  type CachedStatement,
  type Demand,
  endOfTransaction,
  groupMayCommit,
  groupWrites,
  type SessionEffect,
  stateAfter,
  type Statement,
} from '@understudy/core/sql';
import { Frontend, type TransactionStatus } from '@understudy/wire';
import type { ReadNeed } from '@understudy/core/routing';
import type { PreparedStatement } from './prepared.ts';

/** One message of a client, as a range of the chunk in which it came. */
export interface ClientMessage {
  readonly type: number;
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;
  /** What Parse, Bind, Describe, Close and Execute refer to; null: nothing that the client prepared. */
  readonly statement: PreparedStatement | null;
  /** Names the portal instead of the statement (Describe, Close). */
  readonly ofPortal: boolean;
}

/**
 * What PostgreSQL takes as one implicit transaction: a simple Query, a function call, or the messages up to a Sync. A unit runs on one
 * server. It is open while its Sync has not come: a client may ask for answers before (Flush).
 */
export interface ClientUnit {
  readonly kind: 'query' | 'extended' | 'function';
  readonly messages: ClientMessage[];
  bytes: number;
  /** The Sync is there, or the kind needs none. */
  complete: boolean;
  /** Messages already sent to a server. */
  sent: number;
  /** Texts that the unit parses or runs, in order. */
  readonly texts: CachedStatement[];
  /** Statements that it runs. */
  readonly statements: Statement[];
  readonly effects: SessionEffect[];
  demand: Demand;
  /** It runs a portal that the proxy knows nothing of. */
  runsUnknown: boolean;
  /** Set when the unit must not go to a replica again, with the reason. */
  primaryBecause: string | null;
  /** On the monotonic clock, for the hold timeout. */
  readonly arrivedAtMs: number;
  /** The unit has failed already: what remains of it is skipped up to its Sync. */
  skipped: boolean;
  /** What the unit must see if it reads; null until it is first looked at. */
  need: ReadNeed | null;
  /** When it was first looked at, on the monotonic clock. */
  beganAtMs: number;
  /** When it began to wait for a primary; 0: it does not. */
  heldAtMs: number;
  /** Bytes of it that are counted as waiting in the proxy. */
  waitingBytes: number;
  /** How often it was sent to a server. What was lost with a server that was dying already does not count again. */
  attempts: number;
  /** How many connections could not be made for it. */
  openingsFailed: number;
  /** Which server it was lost with last, and when that began (monotonic). */
  lastLoss: { readonly member: string; readonly atMs: number } | null;
  /** It must not share a connection with other clients' reads again. */
  alone: boolean;
}

export function newUnit(kind: ClientUnit['kind'], arrivedAtMs: number): ClientUnit {
  return {
    kind,
    messages: [],
    bytes: 0,
    complete: kind !== 'extended',
    sent: 0,
    texts: [],
    statements: [],
    effects: [],
    demand: 'session',
    runsUnknown: false,
    primaryBecause: null,
    arrivedAtMs,
    skipped: false,
    need: null,
    beganAtMs: 0,
    heldAtMs: 0,
    waitingBytes: 0,
    attempts: 0,
    openingsFailed: 0,
    lastLoss: null,
    alone: false,
  };
}

/** One server's death shows on each of its connections by itself, in no order: those that a unit meets within this time are one death. */
const ONE_DEATH_MS = 1000;

/** The connection that the unit was sent on is lost. A unit that loses one server after the other may be why they die, and has a limit. */
export function noteLoss(unit: ClientUnit, member: string, nowMs: number): void {
  const { lastLoss } = unit;
  if (lastLoss?.member === member && nowMs - lastLoss.atMs < ONE_DEATH_MS) unit.attempts -= 1;
  else unit.lastLoss = { member, atMs: nowMs };
}

/**
 * True when the unit uses a statement whose Parse, in an earlier unit, is not answered yet: whether there is such a statement decides what the unit does.
 */
export function awaitsParse({ messages }: ClientUnit): boolean {
  return messages.some(
    ({ type, statement }) =>
      type !== Frontend.parse &&
      statement?.state === 'pending' &&
      !messages.some(other => other.type === Frontend.parse && other.statement === statement),
  );
}

const STRENGTH: Readonly<Record<Demand, number>> = { session: 0, replica: 1, router: 2, primary: 3 };

/** The demand of two texts in one unit. A session effect beside a read keeps the read where the session's state is. */
export function strongerDemand(a: Demand, b: Demand): Demand {
  return STRENGTH[a] >= STRENGTH[b] ? a : b;
}

/** Takes a text into the unit; `runs` when it is executed and not only prepared. */
export function addText(unit: ClientUnit, text: CachedStatement, runs: boolean): void {
  const sql = text.unit;
  if (!unit.runsUnknown) unit.demand = unit.texts.length === 0 ? sql.demand : mergeDemand(unit.demand, sql.demand);
  unit.texts.push(text);
  if (!runs) return;
  unit.statements.push(...sql.statements);
  unit.effects.push(...sql.effects);
}

function mergeDemand(a: Demand, b: Demand): Demand {
  if (a === b) return a;
  // A read and a change of the session in one unit: only the session's own server gives both.
  if (a === 'session' || b === 'session') return a === 'replica' || b === 'replica' ? 'primary' : strongerDemand(a, b);
  return strongerDemand(a, b);
}

/** True when the text drops every prepared statement of the session: DEALLOCATE ALL, DISCARD ALL. */
export function forgetsAll(text: CachedStatement): boolean {
  return text.unit.effects.some(e => (e.kind === 'deallocate' && e.name === null) || (e.kind === 'discard' && e.target === 'all'));
}

/**
 * True when the unit calls functions or reads cursors: those of the user may write though they are declared not to. Not enough to call it a write,
 * but enough to have later reads wait for it.
 */
export function mayWriteUnseen(unit: ClientUnit): boolean {
  return unit.texts.some(
    text => text.unit.functions.length > 0 || text.unit.effects.some(e => e.kind === 'fetch-cursor' || e.kind === 'declare-cursor'),
  );
}

/** True when the unit may have changed data: everything but proven reads, session commands and transaction control. */
export function mayWrite(unit: ClientUnit): boolean {
  return unit.kind === 'function' || unit.runsUnknown || groupWrites(unit);
}

const PLAIN_SETTINGS: ReadonlySet<SessionEffect['kind']> = new Set(['set', 'reset', 'reset-all']);

/** True when the unit does nothing but SET, RESET and SHOW settings of the session; an empty text does even less. */
export function isAboutSettings({ complete, texts }: ClientUnit): boolean {
  const isPlain = (each: Statement): boolean =>
    each.kind === 'session' ? PLAIN_SETTINGS.has(each.effect.kind) : each.kind === 'utility' && each.reason.code === 'show';
  return complete && texts.length > 0 && texts.every(text => text.unit.statements.every(isPlain));
}

/** True when the unit changes rows, which may fire triggers. */
export function writesRows({ statements }: ClientUnit): boolean {
  return statements.some(({ kind }) => kind === 'write' || kind === 'copy');
}

/** True when the unit, once a server has it, may commit something: then its loss leaves the outcome unknown. */
export function mayCommit(unit: ClientUnit, statusBefore: TransactionStatus, wroteBefore: boolean): boolean {
  if (groupMayCommit(unit, statusBefore, wroteBefore)) return true;
  return (unit.kind === 'function' || unit.runsUnknown) && statusAfter(unit, statusBefore) === 'I';
}

/** Transaction status after the unit, if nothing in it fails. */
export function statusAfter(unit: ClientUnit, before: TransactionStatus): TransactionStatus {
  return stateAfter(unit.statements, before);
}

/** How the unit ends a transaction that is already lost: COMMIT and ROLLBACK both end it, anything else does not. */
export function endsTransaction(unit: ClientUnit): 'commit' | 'rollback' | null {
  return endOfTransaction(unit.statements);
}
