import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { writeDurably } from '../store/durable-file.ts';

/**
 * A member's durable word: it takes no WAL from a primary of a term below this one. Written with fsync before anybody is told.
 * The file lies beside the data directory, not in it: a clone or a rewind must not bring back an older promise.
 */
export class PromiseFile {
  readonly #path: string;
  #term: number;

  /** Throws `state-corrupt`: a promise that cannot be read must not be taken for none. */
  constructor(memberDirectory: string) {
    this.#path = join(memberDirectory, 'promise.json');
    this.#term = existsSync(this.#path) ? readTerm(this.#path) : 0;
  }

  get term(): number {
    return this.#term;
  }

  /** Promises a term. A lower one than promised before is an error of the caller. */
  promise(term: number): void {
    if (term < this.#term) throw new RangeError(`term ${term} is below the promised ${this.#term}`);
    if (term === this.#term) return;
    writeDurably(this.#path, `${JSON.stringify({ term })}\n`);
    this.#term = term;
  }
}

function readTerm(path: string): number {
  try {
    const { term } = JSON.parse(readFileSync(path, 'utf8')) as { term?: unknown };
    if (typeof term !== 'number' || !Number.isSafeInteger(term) || term < 0) throw new Error('it holds no term');
    return term;
  } catch (error) {
    throw new UnderstudyError('state-corrupt', { path, why: (error as Error).message }, { cause: error });
  }
}
