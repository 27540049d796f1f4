import type { Link } from '../../store/link.ts';
import type { Answer, Colleague, News, Place, Question } from './place.ts';
import type { Begin } from '../messages.ts';
import { SharedCounts } from './shared-counts.ts';

/** What a thread is started with. */
export interface ThreadStart {
  readonly begin: Begin;
  readonly slot: number;
  readonly slots: number;
  readonly listenFd: number;
  readonly commits: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
}

/** From a worker to the hub. */
export type ToHub =
  | { readonly kind: 'ask'; readonly id: number; readonly slot: number | null; readonly question: Question }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer | null }
  | { readonly kind: 'tell'; readonly news: News };

/** From the hub to a worker. */
export type FromHub =
  | { readonly kind: 'asked'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly Answer[] }
  | { readonly kind: 'told'; readonly news: News };

/** A worker's place, with the others behind the hub. */
export class ThreadPlace implements Place {
  readonly slot: number;
  readonly slots: number;
  readonly listenFd: number;
  readonly commits: SharedArrayBuffer;
  readonly clients: SharedCounts;
  readonly #hub: Link;
  readonly #asked = new Map<number, (answers: readonly Answer[]) => void>();
  #colleague: Colleague | null = null;
  #lastId = 0;

  constructor({ slot, slots, listenFd, commits, counts }: Omit<ThreadStart, 'begin'>, hub: Link) {
    this.slot = slot;
    this.slots = slots;
    this.listenFd = listenFd;
    this.commits = commits;
    this.clients = new SharedCounts(counts);
    this.#hub = hub;
    hub.onMessage(message => this.#hear(message as FromHub));
  }

  join(colleague: Colleague): void {
    this.#colleague = colleague;
  }

  ask(question: Question, slot: number | null = null): Promise<readonly Answer[]> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise(resolve => {
      this.#asked.set(id, resolve);
      this.#say({ kind: 'ask', id, slot, question });
    });
  }

  tell(news: News): void {
    this.#say({ kind: 'tell', news });
  }

  #say(message: ToHub): void {
    this.#hub.send(message);
  }

  #hear(said: FromHub): void {
    switch (said.kind) {
      case 'asked':
        void this.#answer(said.question).then(answer => this.#say({ kind: 'answer', id: said.id, answer }));
        return;
      case 'answers':
        this.#asked.get(said.id)?.(said.answers);
        this.#asked.delete(said.id);
        return;
      case 'told':
        this.#colleague?.hear(said.news);
        return;
      default:
        said satisfies never;
    }
  }

  async #answer(question: Question): Promise<Answer | null> {
    try {
      return (await this.#colleague?.answer(question)) ?? null;
    } catch {
      return null;
    }
  }
}
