import type { TransactionStatus } from '@understudy/wire';
import { type ClientUnit, mayCommit, statusAfter } from './client-unit.ts';
import { outcomeUnknown, type ProxyFailure, readInterrupted, rolledBack } from './errors.ts';

/** A unit that was sent to a server which is now gone. */
export interface LostUnit {
  readonly unit: ClientUnit;
  /** Something of the answer has gone to the client: it cannot be run again unseen. */
  readonly answered: boolean;
  /** The server said that it gave the statement up. */
  readonly fatal: boolean;
}

/** What becomes of one lost unit. */
export type LossVerdict =
  /** A read of which nothing was seen: run it again. */
  | { readonly kind: 'again' }
  /** `status` for the ReadyForQuery: 'E' while the client believes in an open transaction. */
  | { readonly kind: 'failed'; readonly failure: ProxyFailure; readonly status: TransactionStatus };

/**
 * Decides for all units in flight on a lost server together, in order: a COMMIT that was sent makes everything before it unknown too,
 * since the server may have run it all before it died.
 * @param status transaction status before the first of them
 * @param wrote whether the open transaction may have written before them
 * @param role of the server: a replica commits nothing, so that nothing there has an unknown outcome
 */
export function judgeLoss(
  lost: readonly LostUnit[],
  status: TransactionStatus,
  wrote: boolean,
  role: 'primary' | 'replica' = 'primary',
): LossVerdict[] {
  if (status === 'I' && lost.every(l => isRead(l.unit))) {
    return lost.map(l => (l.answered ? { kind: 'failed', failure: readInterrupted(), status: 'I' } : { kind: 'again' }));
  }
  // A read-only transaction that has shown nothing yet begins anew elsewhere.
  if (role === 'replica' && status === 'I' && lost.every(l => !l.answered && l.unit.complete)) return lost.map(() => ({ kind: 'again' }));
  let before = status;
  let unknown = false;
  // A server that gave up the first of them has begun none of the others.
  for (const { unit } of lost[0]?.fatal === true || role === 'replica' ? [] : lost) {
    unknown ||= mayCommit(unit, before, wrote || before !== 'I');
    before = statusAfter(unit, before);
  }
  let now = status;
  return lost.map(({ unit }) => {
    const inTransaction = now !== 'I';
    now = statusAfter(unit, now);
    const failure = unknown ? outcomeUnknown() : inTransaction || now !== 'I' || !isRead(unit) ? rolledBack() : readInterrupted();
    return { kind: 'failed', failure, status: now === 'I' ? 'I' : 'E' };
  });
}

function isRead(unit: ClientUnit): boolean {
  return unit.kind !== 'function' && unit.demand === 'replica' && unit.complete;
}
