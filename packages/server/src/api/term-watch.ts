import type { TermRecord } from '@understudy/core/cluster';
import type { ClusterFacade } from './facade.ts';

/** Tells each change of the primary once, when it has come to its end. What had ended before the watch began is not told, nor is the first term of a cluster. */
export class TermWatch {
  #term: number;

  constructor(facade: Pick<ClusterFacade, 'state'>) {
    this.#term = Math.max(
      0,
      ...facade
        .state()
        .history.filter(isOver)
        .map(record => record.term),
    );
  }

  /** What has ended since the last call. */
  take(history: readonly TermRecord[]): readonly TermRecord[] {
    const ended = history.filter(record => record.term > this.#term && isOver(record));
    this.#term = Math.max(this.#term, ...ended.map(record => record.term));
    return ended.filter(record => record.trigger !== 'bootstrap');
  }
}

function isOver(record: TermRecord): boolean {
  return record.establishedAtMs !== null;
}
