import { newSessionCausality, type SessionCausality } from '@understudy/core/routing';
import { beginsOnReplica, type SessionEffect, transactionDefaults } from '@understudy/core/sql';
import type { TransactionStatus } from '@understudy/wire';
import { type ClientUnit, endsTransaction, mayWrite, mayWriteUnseen } from './client-unit.ts';
import { inFailedTransaction, type ProxyFailure, rolledBack, sessionStateLost } from './errors.ts';
import type { Flight } from './flight.ts';
import { Pins } from './pins.ts';
import type { LastRoute, RouterWishes } from './router-state.ts';
import type { SessionSettings } from './settings.ts';
import type { SettingsSet } from './settings-set.ts';
import { WishScopes } from './wish-scopes.ts';

/** What the client of a lost transaction is told. Null failure: its ROLLBACK is done, there is nothing left to roll back. */
export interface LostAnswer {
  readonly failure: ProxyFailure | null;
  readonly status: TransactionStatus;
}

/** What a transaction may leave on its connection, beyond its settings. */
const STAYS_ON_CONNECTION: ReadonlySet<SessionEffect['kind']> = new Set<SessionEffect['kind']>([
  'prepare',
  'deallocate',
  'advisory-lock',
  'advisory-unlock',
  'declare-cursor',
  'load',
  'discard',
  'random-seed',
]);

/** What a session has done, set and seen, apart from any connection. */
export class SessionState {
  readonly settings: SessionSettings;
  readonly pins: Pins = new Pins();
  readonly causality: SessionCausality = newSessionCausality();
  readonly scopes: WishScopes;
  last: LastRoute | null = null;
  /** Settings that a replica would not take; reads stay on the primary as long as they are in force. */
  refusedByReplicas: SettingsSet | null = null;
  /** Transaction status that the client was told last. */
  status: TransactionStatus = 'I';
  /** The open transaction is a read-only one on a replica. */
  onReplica = false;
  /** The transaction on the replica leaves something on its connection that no other session may meet. */
  #spoilsReplica = false;
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
    this.scopes = new WishScopes(wishes);
  }

  get wishes(): RouterWishes {
    return this.scopes.current;
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

  /**
   * Whether the unit begins a transaction that may run on a replica, if nothing keeps the session on the primary. In a standby cluster there is none, and
   * each transaction is read only that does not say otherwise.
   */
  beginsOnReplica(unit: ClientUnit, cluster: 'takes-writes' | 'standby'): boolean {
    if (!unit.complete || unit.statements.length !== 1 || unit.texts.length === 0) return false;
    const { readOnly, ...defaults } = transactionDefaults(this.settings.current.values);
    const modes = { ...defaults, readOnly: cluster === 'standby' ? (readOnly ?? true) : readOnly };
    return unit.texts.every(text => beginsOnReplica(text.unit, modes));
  }

  /** A replica has answered a unit of a transaction whole. `spoiled`: its connection must not serve anybody else. */
  finishedOnReplica({ unit, failed }: Flight, status: TransactionStatus): 'clean' | 'spoiled' {
    this.status = status;
    this.onReplica = status !== 'I';
    this.scopes.ran(unit.statements, unit.effects, failed, status !== 'I');
    for (const effect of unit.effects) {
      if (!this.settings.note(effect)) this.pins.add('settings that cannot be known');
      this.#spoilsReplica ||= STAYS_ON_CONNECTION.has(effect.kind);
    }
    if (status !== 'I') return 'clean';
    const spoiled = this.#spoilsReplica;
    this.#spoilsReplica = false;
    return spoiled ? 'spoiled' : 'clean';
  }

  /** The primary has answered a unit whole. True: a transaction has ended that may have written. */
  finishedOnPrimary({ unit, failed }: Flight, status: TransactionStatus, mayHideEffects: boolean): boolean {
    this.status = status;
    this.scopes.ran(unit.statements, unit.effects, failed, status !== 'I');
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

  /** The replica of the open transaction is gone. `inFlight`: units were under way there, which are told by themselves. */
  replicaLost(inFlight: boolean): void {
    if (!inFlight && this.onReplica) this.#lostTransaction = 'untold';
    this.onReplica = false;
    this.#spoilsReplica = false;
  }

  /** The client was told that its unit failed with the primary; `status` is what it believes now. */
  lossTold(status: TransactionStatus): void {
    this.status = status;
    this.#lostTransaction = status === 'I' ? null : 'told';
    this.scopes.ran([], [], true, status !== 'I');
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
