import { Backend, type TransactionStatus } from '@understudy/wire';
import { type ClientUnit, mayWrite, statusAfter } from './client-unit.ts';
import type { ProxyFailure } from './errors.ts';
import type { ServerConnection } from './server-connection.ts';
import type { AnsweredStatement } from './statement-watch.ts';

/** One unit that a server works on. */
export interface Flight {
  readonly unit: ClientUnit;
  readonly from: ServerConnection;
  readonly sentAtMs: number;
  /** Why it was sent there, for people. */
  readonly because: string;
  /** Transaction status before and after it, as far as it goes well. */
  readonly before: TransactionStatus;
  readonly after: TransactionStatus;
  /** Answers of a replica that are held back as long as the unit could still be run elsewhere. Null: released. */
  held: Buffer[] | null;
  /** What the client gets instead of the rest of the answer. */
  replaced: ProxyFailure | null;
  /** Nothing of the answer goes on: the unit will be run again. */
  again: boolean;
  /** Something of the answer has gone to the client. */
  answered: boolean;
  failed: boolean;
  /** Size of the answer so far. */
  bytes: number;
  /** The server has said that it ends the connection instead of answering: the statement is surely not done. */
  fatal: boolean;
  /** The client has more to send for this unit, but elsewhere: its end on this server is the proxy's. */
  split: boolean;
}

export function newFlight(
  unit: ClientUnit,
  from: ServerConnection,
  before: TransactionStatus,
  retry: 'may-retry' | 'final',
  sentAtMs: number,
  because: string,
): Flight {
  return {
    unit,
    from,
    sentAtMs,
    because,
    before,
    after: statusAfter(unit, before),
    held: retry === 'may-retry' ? [] : null,
    replaced: null,
    again: false,
    answered: false,
    failed: false,
    bytes: 0,
    fatal: false,
    split: false,
  };
}

/** Messages that say nothing yet about the data: as long as only these have come, the unit can be run elsewhere. */
export function isPreliminary(type: number): boolean {
  switch (type) {
    case Backend.parseComplete:
    case Backend.bindComplete:
    case Backend.closeComplete:
    case Backend.parameterDescription:
    case Backend.rowDescription:
    case Backend.noData:
      return true;
    default:
      return false;
  }
}

/** The end of this unit may be the end of a transaction that wrote. */
export function endsInCommit(flight: Flight, wroteBefore: boolean): boolean {
  return flight.from.role === 'primary' && flight.after === 'I' && (mayWrite(flight.unit) || (flight.before !== 'I' && wroteBefore));
}

/** The flight for whoever looks at what is routed. */
export function answeredStatement(
  { unit, from, before, because, sentAtMs }: Pick<Flight, 'unit' | 'from' | 'before' | 'because' | 'sentAtMs'>,
  nowMs: number,
): AnsweredStatement {
  return {
    fingerprint: unit.texts[0]?.fingerprint ?? NO_TEXT,
    kind: unit.demand === 'replica' && before === 'I' ? 'read' : mayWrite(unit) ? 'write' : 'other',
    member: from.member,
    reason: because,
    waitMs: Math.max(0, sentAtMs - unit.arrivedAtMs),
    runMs: nowMs - sentAtMs,
    endedAtMs: performance.timeOrigin + nowMs,
  };
}

const NO_TEXT: Uint8Array = new Uint8Array();
