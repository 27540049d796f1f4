import { newSessionCausality, type SessionCausality } from '@understudy/core/routing';
import type { TransactionStatus } from '@understudy/wire';
import { type ClientUnit, endsTransaction, mayWrite, mayWriteUnseen } from './client-unit.ts';
import { inFailedTransaction, type ProxyFailure, rolledBack, sessionStateLost } from './errors.ts';
import type { Flight } from './flight.ts';
import { Pins } from './pins.ts';
import type { LastRoute, RouterWishes } from './router-state.ts';
import type { SessionSettings } from './settings.ts';
import type { SettingsSet } from './settings-set.ts';

/** What the client of a lost transaction is told. Null failure: its ROLLBACK is done, there is nothing left to roll back. */
export interface LostAnswer {
  readonly failure: ProxyFailure | null;
  readonly status: TransactionStatus;
}

/** What a session has done, set and seen, apart from any connection. */
export class SessionState {
  readonly settings: SessionSettings;
  readonly pins: Pins = new Pins();
  readonly causality: SessionCausality = newSessionCausality();
  readonly defaults: RouterWishes;
  wishes: RouterWishes;
  last: LastRoute | null = null;
  /** Settings that a replica would not take; reads stay on the primary as long as they are in force. */
  refusedByReplicas: SettingsSet | null = null;
  /** Transaction status that the client was told last. */
  status: TransactionStatus = 'I';
  /** The open transaction may have written. */
  wrote = false;
  /** The open transaction has called functions, which may have written though they say that they do not. */
  #unsure = false;
  /** The transaction that the client believes to be open was lost with its primary; null when there is none. */
  #lostTransaction: 'untold' | 'told' | null = null;
  /** What else was lost and not yet told, for people. */
  #lostState = '';

  constructor(wishes: RouterWishes, settings: SessionSettings) {
    this.settings = settings;
    this.wishes = wishes;
    this.defaults = wishes;
  }

  /** Why a unit must go to the primary; null: a replica may take it. */
  whyPrimary(unit: ClientUnit, status: TransactionStatus): string | null {
    if (unit.primaryBecause !== null) return unit.primaryBecause;
    if (status !== 'I') return 'in a transaction';
    if (this.wishes.route === 'primary') return 'understudy.route = primary';
    if (this.refusedByReplicas === this.settings.current) return 'replicas do not take the settings of the session';
    if (this.pins.holdReads) return 'the session has state on the primary that reads can see';
    if (this.settings.current.values.get('default_transaction_isolation') === 'serializable') {
      return 'replicas cannot be read at isolation level serializable';
    }
    return null;
  }

  /** The primary has answered a unit whole. True: a transaction has ended that may have written. */
  finishedOnPrimary({ unit }: Flight, status: TransactionStatus, mayHideEffects: boolean): boolean {
    this.status = status;
    this.wrote ||= mayWrite(unit);
    this.#unsure ||= mayWriteUnseen(unit);
    for (const effect of unit.effects) {
      if (!this.settings.note(effect)) this.pins.add('settings that cannot be known');
      this.pins.note(effect);
    }
    // DDL may drop temporary objects.
    this.pins.inDoubt ||= mayHideEffects || (this.pins.holds && unit.statements.some(s => s.reason.code === 'ddl'));
    if (status !== 'I') return false;
    const committed = this.wrote || this.#unsure;
    this.wrote = false;
    this.#unsure = false;
    return committed;
  }

  /** The primary is gone. `inFlight`: units were under way there, which are told by themselves. */
  primaryLost(inFlight: boolean): void {
    this.#lostState = this.pins.takeLost();
    if (!inFlight && this.status !== 'I') this.#lostTransaction = 'untold';
  }

  /** The client was told that its unit failed with the primary; `status` is what it believes now. */
  lossTold(status: TransactionStatus): void {
    this.status = status;
    this.#lostTransaction = status === 'I' ? null : 'told';
    if (status !== 'I') return;
    this.wrote = false;
    this.#unsure = false;
  }

  get hasLoss(): boolean {
    return this.#lostTransaction !== null || this.#lostState !== '';
  }

  /** The answer to the next unit after a loss. PostgreSQL's rules for a failed transaction apply: only its end ends it. */
  answerLoss(unit: ClientUnit): LostAnswer {
    if (this.#lostTransaction === null) {
      const what = this.#lostState;
      this.#lostState = '';
      return { failure: sessionStateLost(what), status: 'I' };
    }
    const told = this.#lostTransaction === 'told';
    const end = endsTransaction(unit);
    this.lossTold(end === null ? 'E' : 'I');
    if (end === 'rollback' || (end === 'commit' && told)) return { failure: null, status: 'I' };
    return { failure: told ? inFailedTransaction() : rolledBack(), status: this.status };
  }
}
