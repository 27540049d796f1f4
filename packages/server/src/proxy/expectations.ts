import { Backend, type ErrorFields, ProtocolError } from '@understudy/wire';
import { Deque } from './deque.ts';

/** What a message that was sent to a server will be answered with. */
/** `given`: the proxy itself answers, in its turn; the server was asked nothing. */
export type AnswerKind = 'given' | 'parse' | 'bind' | 'close' | 'describe' | 'execute' | 'sync' | 'query' | 'function';

/** One answer that is due. Answers come strictly in the order of what was sent. */
export interface Expectation {
  readonly kind: AnswerKind;
  /** The proxy asked, not the client: the answer is not passed on. */
  readonly hidden: boolean;
  /** Told once the answer is there (true), or the message was skipped after an error or with the connection (false). */
  readonly settle: ((ok: boolean, why?: ErrorFields) => void) | null;
  /** Collects the rows of the proxy's own question. */
  readonly rows: (string | null)[][] | null;
}

const visible = (kind: AnswerKind): Expectation => ({ kind, hidden: false, settle: null, rows: null });

/** Answers to what the client sent; shared, since nothing in them differs. */
export const VISIBLE: Readonly<Record<AnswerKind, Expectation>> = {
  given: visible('given'),
  parse: visible('parse'),
  bind: visible('bind'),
  close: visible('close'),
  describe: visible('describe'),
  execute: visible('execute'),
  sync: visible('sync'),
  query: visible('query'),
  function: visible('function'),
};

/** The statement is prepared on the server already: the proxy says so in the server's stead. */
export const GIVEN_PARSE_COMPLETE: Expectation = VISIBLE.given;

/** What one message of the server means in the order of what is due. */
export type Answer =
  /** Belongs to the work at the head; the head stays. */
  | 'within'
  /** The head's last message. */
  | 'completes'
  /** An error: the head failed and everything up to the next Sync was skipped. */
  | 'fails'
  /** ReadyForQuery. */
  | 'ready';

/**
 * The answers that one server still owes, in order. Any message that does not fit is a ProtocolError: a connection on which answers
 * and questions have come apart must never be used again, since the next rows could go to the wrong question.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export class Expectations {
  readonly #due = new Deque<Expectation>();
  #copyIn: 'none' | 'simple' | 'extended' = 'none';
  /** Syncs that were due when the end of an extended copy was sent; null before that. The server ignores them: it read them in copy-in mode. */
  #syncsBeforeCopyEnd: number | null = null;
  /** The group that runs has failed and its Sync was not sent yet: the server passes over everything that comes before it. */
  #skipping = false;

  get size(): number {
    return this.#due.size;
  }

  get head(): Expectation | undefined {
    return this.#due.peek();
  }

  /** True from CopyInResponse to the end of that copy. */
  get copyingIn(): boolean {
    return this.#copyIn !== 'none';
  }

  expect(item: Expectation): void {
    // In copy-in mode of a simple Query, Sync is ignored and never answered.
    if (this.#copyIn === 'simple' && item.kind === 'sync') return;
    if (item.kind === 'sync') this.#skipping = false;
    if (this.#skipping) item.settle?.(false);
    else this.#due.push(item);
  }

  /** True when the next answer is the proxy's own to give; it is taken off with this. */
  takeGiven(): boolean {
    if (this.#due.peek()?.kind !== 'given') return false;
    this.#due.shift();
    return true;
  }

  /** CopyDone or CopyFail was sent. */
  copyEnded(): void {
    if (this.#copyIn === 'extended' && this.#syncsBeforeCopyEnd === null) this.#syncsBeforeCopyEnd = this.#syncs();
  }

  /** Takes one message of the server into account. */
  take(type: number): Answer {
    const head = this.#due.peek();
    if (head === undefined) throw new ProtocolError(`message ${String.fromCharCode(type)} that nothing was sent for`);
    switch (type) {
      case Backend.dataRow:
      case Backend.copyData:
      case Backend.copyDone:
      case Backend.copyOutResponse:
        return within(head, type, 'execute', 'query');
      case Backend.copyInResponse:
        within(head, type, 'execute', 'query');
        this.#copyIn = head.kind === 'query' ? 'simple' : 'extended';
        return 'within';
      case Backend.parseComplete:
        return this.#completes(head, type, 'parse');
      case Backend.bindComplete:
        return this.#completes(head, type, 'bind');
      case Backend.closeComplete:
        return this.#completes(head, type, 'close');
      case Backend.parameterDescription:
        return within(head, type, 'describe');
      case Backend.rowDescription:
        return head.kind === 'query' ? 'within' : this.#completes(head, type, 'describe');
      case Backend.noData:
        return this.#completes(head, type, 'describe');
      case Backend.portalSuspended:
        return this.#completes(head, type, 'execute');
      case Backend.commandComplete:
      case Backend.emptyQueryResponse:
        return this.#commandDone(head, type);
      case Backend.functionCallResponse:
        return within(head, type, 'function');
      case Backend.errorResponse:
        return this.#fails(head);
      case Backend.readyForQuery:
        if (head.kind !== 'sync' && head.kind !== 'query' && head.kind !== 'function') throw surprise(type, head);
        this.#due.shift();
        head.settle?.(true);
        return 'ready';
      default:
        throw surprise(type, head);
    }
  }

  /** The connection is gone: nothing that is due will come. */
  abandon(): void {
    for (const item of this.#due.clear()) item.settle?.(false);
    this.#copyIn = 'none';
    this.#syncsBeforeCopyEnd = null;
  }

  #completes(head: Expectation, type: number, kind: AnswerKind): Answer {
    if (head.kind !== kind) throw surprise(type, head);
    this.#due.shift();
    head.settle?.(true);
    return 'completes';
  }

  #commandDone(head: Expectation, type: number): Answer {
    if (head.kind === 'query') {
      this.#copyIn = 'none';
      return 'within';
    }
    const answer = this.#completes(head, type, 'execute');
    if (this.#copyIn === 'extended') this.#dropIgnoredSyncs();
    return answer;
  }

  #dropIgnoredSyncs(): void {
    const ignored = this.#syncsBeforeCopyEnd ?? this.#syncs();
    this.#copyIn = 'none';
    this.#syncsBeforeCopyEnd = null;
    for (let i = 0; i < ignored && this.#due.peek()?.kind === 'sync'; i++) this.#due.shift()?.settle?.(true);
  }

  #syncs(): number {
    let count = 0;
    for (const item of this.#due) if (item.kind === 'sync') count += 1;
    return count;
  }

  #fails(head: Expectation): Answer {
    if (this.#copyIn === 'simple') this.#copyIn = 'none';
    if (head.kind === 'query' || head.kind === 'function') return 'fails';
    for (let item = this.#due.peek(); item !== undefined && item.kind !== 'sync'; item = this.#due.peek()) {
      this.#due.shift();
      item.settle?.(false);
    }
    if (this.#copyIn === 'extended') this.#dropIgnoredSyncs();
    this.#skipping = this.#due.peek() === undefined;
    return 'fails';
  }
}

function within(head: Expectation, type: number, ...kinds: AnswerKind[]): Answer {
  if (!kinds.includes(head.kind)) throw surprise(type, head);
  return 'within';
}

function surprise(type: number, head: Expectation): ProtocolError {
  return new ProtocolError(`message ${String.fromCharCode(type)} where the answer to ${head.kind} was due`);
}
