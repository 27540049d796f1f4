import type { Door } from '../admission.ts';
import type { Clients } from '../clients.ts';
import type { SessionContext } from '../session-context.ts';
import type { Answer, Colleague, News, Question } from './place.ts';

/** Where other workers ask this one. */
export class Desk implements Colleague {
  readonly #clients: Clients;
  readonly #context: Pick<SessionContext, 'tables' | 'databases' | 'pools'>;
  readonly #door: Door;

  constructor(clients: Clients, context: Pick<SessionContext, 'tables' | 'databases' | 'pools'>, door: Door) {
    this.#clients = clients;
    this.#context = context;
    this.#door = door;
  }

  async answer(question: Question): Promise<Answer> {
    switch (question.kind) {
      case 'table':
        return { kind: 'table', facts: this.#context.tables.facts(question.table) };
      case 'role':
        return { kind: 'role', clients: this.#clients.countOfRole(question.user) };
      case 'cancel':
        await this.#clients.cancelOwn(question.key);
        return { kind: 'cancel' };
      default:
        return question satisfies never;
    }
  }

  hear(news: News): void {
    switch (news.kind) {
      case 'definition-changed':
        this.#context.databases.definitionChanged(news.database, news.code);
        this.#context.pools.definitionChanged(news.database);
        return;
      case 'close-idle':
        this.#context.pools.closeIdle();
        return;
      case 'login-failed':
        this.#door.noteFailureElsewhere(news.address, news.user);
        return;
      default:
        news satisfies never;
    }
  }
}
