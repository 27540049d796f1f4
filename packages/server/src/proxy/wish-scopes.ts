import type { RouterSetting, SessionEffect, Statement } from '@understudy/core/sql';
import { applySetting, type RouterWishes } from './router-state.ts';

type Setting = Exclude<RouterSetting, { readonly name: 'token' }>;

/** The wishes inside an open transaction. */
interface Scope {
  /** What stays when it commits. */
  readonly session: RouterWishes;
  /** What is in force now, SET LOCAL included. */
  readonly current: RouterWishes;
}

/**
 * What a session has asked of the router, with the rules of PostgreSQL's own settings (guc.c): SET is undone when its transaction or its savepoint is
 * rolled back, SET LOCAL ends with the transaction. The servers know nothing of these settings, so the rules are kept here.
 */
export class WishScopes {
  readonly #defaults: RouterWishes;
  #session: RouterWishes;
  /** Null: no transaction that has touched a wish. What had been set before its first SET is `#session`. */
  #open: Scope | null = null;
  #failed = false;
  #savepoints: { readonly name: string; readonly scope: Scope }[] = [];

  constructor(defaults: RouterWishes) {
    this.#defaults = defaults;
    this.#session = defaults;
  }

  get current(): RouterWishes {
    return this.#open?.current ?? this.#session;
  }

  /** SET or RESET outside a transaction block, or inside one. SET LOCAL outside has no effect, as in PostgreSQL. */
  set(setting: Setting, scope: 'session' | 'transaction', where: 'outside' | 'inside'): void {
    const changed = (wishes: RouterWishes): RouterWishes => applySetting(wishes, setting, this.#defaults);
    if (where === 'outside') {
      if (scope === 'session') this.#session = changed(this.#session);
      return;
    }
    const before = this.#open ?? { session: this.#session, current: this.#session };
    this.#open = { session: scope === 'session' ? changed(before.session) : before.session, current: changed(before.current) };
  }

  /** Statements have run that may end a transaction or move within it. `failed`: one of them did; `open`: a transaction block is open now. */
  ran(statements: readonly Statement[], effects: readonly SessionEffect[], failed: boolean, open: boolean): void {
    if (failed) this.#failed = true;
    else {
      for (const statement of statements) if (statement.kind === 'transaction') this.#control(statement.control);
      if (effects.some(effect => effect.kind === 'reset-all' || (effect.kind === 'discard' && effect.target === 'all')))
        this.#resetAll(open);
    }
    // However it ended, if not by a COMMIT that was seen above it was rolled back.
    if (!open) this.#end('rollback');
  }

  #control(control: Extract<Statement, { readonly kind: 'transaction' }>['control']): void {
    switch (control.kind) {
      case 'commit':
        // COMMIT of a transaction that has failed rolls it back.
        return this.#end(this.#failed ? 'rollback' : 'commit');
      case 'rollback':
        return this.#end('rollback');
      case 'prepare-transaction':
        return this.#end('commit');
      case 'savepoint':
        this.#savepoints.push({ name: control.name, scope: this.#open ?? { session: this.#session, current: this.#session } });
        return;
      case 'release': {
        const at = this.#savepoints.findLastIndex(({ name }) => name === control.name);
        if (at >= 0) this.#savepoints.length = at;
        return;
      }
      case 'rollback-to': {
        const at = this.#savepoints.findLastIndex(({ name }) => name === control.name);
        this.#failed = false;
        const savepoint = this.#savepoints[at];
        if (savepoint === undefined) return;
        this.#open = savepoint.scope;
        this.#savepoints.length = at + 1;
        return;
      }
      default:
        return;
    }
  }

  #end(how: 'commit' | 'rollback'): void {
    if (how === 'commit' && this.#open !== null) this.#session = this.#open.session;
    this.#open = null;
    this.#failed = false;
    this.#savepoints = [];
  }

  #resetAll(open: boolean): void {
    if (open) this.#open = { session: this.#defaults, current: this.#defaults };
    else this.#session = this.#defaults;
  }
}
