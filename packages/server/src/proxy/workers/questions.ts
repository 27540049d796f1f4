import type { Answer, Question } from './place.ts';

/** A worker that does not answer for so long is left out. */
const ANSWER_LIMIT_MS = 2_000;
/** Questions under way at a time; beyond it nobody is asked. */
const MAX_OPEN = 10_000;

interface Open {
  readonly waitingFor: Set<number>;
  readonly answers: Answer[];
  readonly done: (answers: readonly Answer[]) => void;
  readonly timer: NodeJS.Timeout;
}

/** Questions of workers to others, and the answers that have come so far. */
export class Questions {
  readonly #open = new Map<number, Open>();
  #lastId = 0;

  /** Asks these workers; `done` is called once, with the answers that came. */
  ask(slots: readonly number[], question: Question, put: (slot: number, id: number, question: Question) => void, done: Open['done']): void {
    if (slots.length === 0 || this.#open.size >= MAX_OPEN) return done([]);
    this.#lastId += 1;
    const id = this.#lastId;
    const timer = setTimeout(() => this.#close(id), ANSWER_LIMIT_MS);
    this.#open.set(id, { waitingFor: new Set(slots), answers: [], done, timer });
    for (const slot of slots) put(slot, id, question);
  }

  answered(id: number, slot: number, answer: Answer | null): void {
    const open = this.#open.get(id);
    if (open === undefined || !open.waitingFor.delete(slot)) return;
    if (answer !== null) open.answers.push(answer);
    if (open.waitingFor.size === 0) this.#close(id);
  }

  /** The worker will answer nothing more. */
  gone(slot: number): void {
    for (const id of this.#open.keys()) this.answered(id, slot, null);
  }

  #close(id: number): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    clearTimeout(open.timer);
    open.done(open.answers);
  }
}
