import { backend, type TransactionStatus } from '@understudy/wire';
import type { ClientStream } from './client-stream.ts';
import type { ClientUnit } from './client-unit.ts';
import { ProxyFailure } from './errors.ts';
import { answerLocally, isReady, type LocalResult, tagOnly } from './local-answer.ts';
import { runRouterUnit } from './router-answers.ts';
import type { SessionContext } from './session-context.ts';
import type { SessionState } from './session-state.ts';

/** Answers to one client that no server gives: to what it says to the router itself, after a loss, and the errors of the router. */
export class OwnAnswers {
  readonly #context: SessionContext;
  readonly #state: SessionState;
  readonly #client: ClientStream;

  constructor(context: SessionContext, state: SessionState, client: ClientStream) {
    this.#context = context;
    this.#state = state;
    this.#client = client;
  }

  /**
   * Answers the unit, and returns null. A promise: others must be asked first; with results these are to be given, without them the unit is to be
   * answered anew.
   */
  answer(unit: ClientUnit): Promise<readonly LocalResult[] | null> | null {
    if (unit.skipped) {
      // What remains of a unit that has failed is passed over up to its Sync.
      if (unit.complete) this.#client.add(backend.READY[this.#state.status]);
      unit.sent = unit.messages.length;
      return null;
    }
    if (this.#state.hasLoss) {
      const { failure, status } = this.#state.answerLoss(unit);
      if (failure === null) this.give(unit, [tagOnly('ROLLBACK')]);
      else this.tell(unit, failure, status);
      return null;
    }
    const { freshness, options } = this.#context;
    const results = runRouterUnit(unit, this.#state, this.#context);
    if (results === 'wait') return freshness.untilFloor(options.freshWaitMs).then(() => null);
    if (results instanceof ProxyFailure) this.fail(unit, results);
    else if (results.every(isReady)) this.give(unit, results);
    else return Promise.all(results);
    return null;
  }

  give(unit: ClientUnit, results: readonly LocalResult[]): void {
    for (const part of answerLocally(unit, results, this.#state.status)) this.#client.add(part);
    unit.sent = unit.messages.length;
  }

  /** The unit fails, and with it the transaction that is open. */
  fail(unit: ClientUnit, failure: ProxyFailure): void {
    this.tell(unit, failure, this.#state.status === 'I' ? 'I' : 'E');
  }

  /** The unit fails with this error; what remains of it is skipped. */
  tell(unit: ClientUnit, failure: ProxyFailure, status: TransactionStatus): void {
    this.#state.status = status;
    this.#client.add(failure.frame());
    if (unit.complete) this.#client.add(backend.READY[status]);
    else unit.skipped = true;
    unit.sent = unit.messages.length;
  }
}
