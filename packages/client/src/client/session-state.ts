import { newSessionCausality, type SessionCausality } from '@understudy/core/routing';
import {
  type ConsistencyWish,
  endOfTransaction,
  groupWrites,
  type RouterSetting,
  type RouteWish,
  type Statement,
  type TransactionState,
  type Unit,
} from '@understudy/core/sql';
import type { RouteInfo } from '../routing/route.ts';
import { Pins } from './pins.ts';
import { SessionSettings } from './settings.ts';
import { inFailedTransaction, rolledBack, sessionStateLost } from '../errors.ts';

/** What a client has asked of the router (`SET understudy.…`). */
export interface Wishes {
  readonly route: RouteWish;
  readonly consistency: ConsistencyWish;
  readonly maxLagMs: number;
}

/** What a client has done and set, apart from any connection. */
export class SessionState {
  readonly settings: SessionSettings = new SessionSettings();
  readonly pins: Pins = new Pins();
  readonly defaults: Wishes;
  wishes: Wishes;
  causality: SessionCausality = newSessionCausality();
  status: TransactionState = 'I';
  /** The open transaction may have written. */
  wrote = false;
  /** Where the last statement went, for SHOW understudy.last_route. */
  lastRoute: RouteInfo | null = null;
  #lostTransaction: 'untold' | 'told' | null = null;
  #lostState = '';

  constructor(wishes: Wishes) {
    this.wishes = wishes;
    this.defaults = wishes;
  }

  /** Session state on its connection that cannot be made again elsewhere. */
  get pinned(): boolean {
    return this.pins.any || this.pins.channels.size > 0;
  }

  apply(setting: Exclude<RouterSetting, { name: 'token' }>): void {
    switch (setting.name) {
      case 'route':
        this.wishes = { ...this.wishes, route: setting.value ?? this.defaults.route };
        return;
      case 'consistency':
        this.wishes = { ...this.wishes, consistency: setting.value ?? this.defaults.consistency };
        return;
      case 'max_lag_ms':
        this.wishes = { ...this.wishes, maxLagMs: setting.value ?? this.defaults.maxLagMs };
        return;
      default:
        setting satisfies never;
    }
  }

  /** A server has answered. True: a transaction has ended that may have written. */
  finished(unit: Unit, status: TransactionState): boolean {
    this.status = status;
    // A function of the user may write though it is declared not to; a cursor may call one.
    this.wrote ||= groupWrites(unit) || unit.functions.length > 0 || unit.effects.some(effect => effect.kind === 'fetch-cursor');
    for (const effect of unit.effects) {
      if (!this.settings.note(effect)) this.pins.add('settings of unknown name');
      this.pins.note(effect);
    }
    if (status !== 'I') return false;
    const committed = this.wrote;
    this.wrote = false;
    return committed;
  }

  /** The connection is gone while no statement was under way on it. */
  connectionLost(): void {
    const lost = [this.pins.takeLost(), this.pins.channels.size > 0 ? 'LISTEN' : ''].filter(what => what !== '').join(', ');
    this.pins.clearChannels();
    if (this.status !== 'I') this.#lostTransaction = 'untold';
    else this.#lostState = lost;
  }

  /** The caller was told that its statement failed with the server; what it believes now. */
  lossTold(status: TransactionState): void {
    this.status = status;
    this.#lostTransaction = status === 'I' ? null : 'told';
    if (status === 'I') this.wrote = false;
  }

  get hasLoss(): boolean {
    return this.#lostTransaction !== null || this.#lostState !== '';
  }

  /** What the next statement after a loss is told; null: its transaction is over, as it asked. PostgreSQL's rules for a failed transaction apply. */
  answerLoss(statements: readonly Statement[]): Error | null {
    if (this.#lostTransaction === null) {
      const what = this.#lostState;
      this.#lostState = '';
      return sessionStateLost(what);
    }
    const told = this.#lostTransaction === 'told';
    const end = endOfTransaction(statements);
    this.lossTold(end === null ? 'E' : 'I');
    if (end === 'rollback' || (end === 'commit' && told)) return null;
    return told ? inFailedTransaction() : rolledBack();
  }

  /** The client goes back to its pool: what belonged to its user alone is over, settings stay, as with pg. */
  reset(): void {
    this.pins.takeLost();
    this.pins.clearChannels();
    this.causality = newSessionCausality();
    this.wishes = this.defaults;
    this.status = 'I';
    this.wrote = false;
    this.#lostTransaction = null;
    this.#lostState = '';
  }
}
