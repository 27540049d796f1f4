import type { BackendKey } from '@understudy/wire';
import type { RouterTable } from '@understudy/core/sql';
import type { TableFacts } from '../admin-tables.ts';
import { SharedCommits } from '../shared-commits.ts';
import { SharedCounts } from './shared-counts.ts';

/** What a worker asks of others. */
export type Question =
  | { readonly kind: 'table'; readonly table: RouterTable }
  /** How many clients of this role it has. */
  | { readonly kind: 'role'; readonly user: string }
  /** To end what the client with this key runs. Answered when its server has taken note. */
  | { readonly kind: 'cancel'; readonly key: BackendKey };

export type Answer =
  | { readonly kind: 'table'; readonly facts: readonly TableFacts[RouterTable][] }
  | { readonly kind: 'role'; readonly clients: number }
  | { readonly kind: 'cancel' };

/** What a worker tells the others. */
export type News =
  /** The database's definition has changed: what was prepared, and what is known of its functions, may not hold. `code`: of functions or triggers. */
  | { readonly kind: 'definition-changed'; readonly database: string; readonly code: boolean }
  /** A statement is about to run for which nobody else may be connected to its database. */
  | { readonly kind: 'close-idle' }
  | { readonly kind: 'login-failed'; readonly address: string; readonly user: string };

/** Who answers for a worker. */
export interface Colleague {
  answer(question: Question): Promise<Answer> | Answer;
  hear(news: News): void;
}

/** A worker's place among the workers of one proxy, which share its port, its clients and the floors. */
export interface Place {
  /** From 0; there are `slots` of them. */
  readonly slot: number;
  readonly slots: number;
  /** A bound socket to listen on; null: the worker binds its own. */
  readonly listenFd: number | null;
  readonly commits: SharedArrayBuffer;
  /** Clients of each worker. */
  readonly clients: SharedCounts;
  join(colleague: Colleague): void;
  /** The answers of all the others, or of the one in that slot. One that does not answer in time is left out. */
  ask(question: Question, slot?: number): Promise<readonly Answer[]>;
  tell(news: News): void;
}

/** The place of a proxy that is its only worker, on a bound socket that it was handed, if it was. */
export function onlyPlace(listenFd: number | null = null): Place {
  return {
    slot: 0,
    slots: 1,
    listenFd,
    commits: SharedCommits.memory(),
    clients: new SharedCounts(SharedCounts.memory(1)),
    join: () => undefined,
    ask: () => Promise.resolve([]),
    tell: () => undefined,
  };
}
