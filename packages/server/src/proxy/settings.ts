import type { SessionEffect } from '@understudy/core/sql';
import { literal, SettingsSet } from './settings-set.ts';

/** Settings that SET SESSION CHARACTERISTICS changes. */
const CHARACTERISTICS = ['default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable'];

/** A setting as a backend has it. `own` false: nobody has set it in the session, or it was reset. */
export interface LearnedSetting {
  readonly name: string;
  readonly value: string | null;
  readonly own: boolean;
}

/**
 * What a client's session has set. The proxy does not interpret SET: it notes which names a statement touches and asks the backend for their
 * values when the transaction is over, so rollback, savepoints and functions are all right by construction.
 */
export class SessionSettings {
  /** What the client asked for when it connected: RESET goes back to these. */
  readonly base: SettingsSet;
  readonly #user: string;
  #current: SettingsSet;
  #touched: Set<string> | null = null;
  /** Something may have been reset, so the values alone do not tell whether they are the session's own. */
  #reset = false;

  /** `user`: who logged in. */
  constructor(base: SettingsSet, user: string) {
    this.#user = user;
    this.base = base;
    this.#current = base;
  }

  get current(): SettingsSet {
    return this.#current;
  }

  get hasTouched(): boolean {
    return this.#touched !== null;
  }

  /** The question for what was touched; null when nothing was. */
  takeQuestion(): { readonly names: readonly string[]; readonly sql: string } | null {
    if (this.#touched === null) return null;
    const names = [...this.#touched];
    const sql = this.#reset ? askSettingsAndSources(names, this.#user) : askSettings(names);
    this.forgetTouched();
    return { names, sql };
  }

  forgetTouched(): void {
    this.#touched = null;
    this.#reset = false;
  }

  /** Takes an effect into account. False: it changes a setting whose name cannot be known. */
  note(effect: SessionEffect): boolean {
    switch (effect.kind) {
      case 'set':
        if (effect.scope === 'transaction') return true;
        if (effect.value === null) this.#noteReset([effect.name]);
        else this.#touch([effect.name]);
        // The role is a part of the user: setting one changes the other.
        if (effect.name === 'session_authorization') this.#noteReset(['role']);
        return true;
      case 'reset':
        this.#noteReset([effect.name, ...(effect.name === 'session_authorization' ? ['role'] : [])]);
        return true;
      case 'set-config':
        if (effect.scope === 'transaction') return true;
        if (effect.name === null) return false;
        this.#touch([effect.name]);
        return true;
      case 'set-characteristics':
        this.#touch(CHARACTERISTICS);
        return true;
      case 'reset-all':
        this.#noteReset(this.#current.values.keys());
        return true;
      case 'discard':
        if (effect.target === 'all') this.#noteReset(this.#current.values.keys());
        return true;
      default:
        return true;
    }
  }

  #touch(names: Iterable<string>): void {
    for (const name of names) (this.#touched ??= new Set()).add(name);
  }

  #noteReset(names: Iterable<string>): void {
    this.#reset = true;
    this.#touch(names);
  }

  /** The backend has told. Returns what the backend itself has now, which differs where a RESET went past the client's start. */
  learn(learned: readonly LearnedSetting[], applied: SettingsSet): SettingsSet {
    const { base } = this;
    this.#current = this.#current.with(
      learned.map(({ name, value, own }) => [name, own ? value : (base.values.get(name) ?? null)] as const),
    );
    return applied.with(learned.map(({ name, value, own }) => [name, own ? value : null] as const));
  }

  /** Settings of an application's own that the session has, or may have since it touched them. The server lists them nowhere. */
  get customNames(): readonly string[] {
    return [...new Set([...this.base.values.keys(), ...this.#current.values.keys(), ...(this.#touched ?? [])])].filter(isCustom);
  }

  /**
   * All settings of the backend's session are known: `own`, by name, and the values of {@link customNames}. Returns what the backend has. A setting of an
   * application's own is empty once it was reset: whether it is the session's then, only the session knows.
   */
  learnAll(own: ReadonlyMap<string, string>, custom: ReadonlyMap<string, string>): SettingsSet {
    const before = this.#current.values;
    const kept = [...custom].filter(([name, value]) => value !== '' || before.get(name) === '');
    const all = new Map([...own, ...kept]);
    this.#current = SettingsSet.of(new Map([...this.base.values, ...all]));
    return SettingsSet.of(all);
  }
}

/** The question for the values of settings, which are taken to be the session's own; an unknown name is no error. */
export function askSettings(names: readonly string[]): string {
  return `SELECT ${names.map(name => `${valueOf(name)}, true`).join(', ')}`;
}

/** The same, with whether each was set in the session and not reset. */
function askSettingsAndSources(names: readonly string[], user: string): string {
  return `SELECT ${names.map(name => `${valueOf(name)}, ${isOwn(name, user)}`).join(', ')}`;
}

const valueOf = (name: string): string => `pg_catalog.current_setting(${literal(name)}, true)`;

/** pg_settings does not show the role and the user, but their values say it. */
function isOwn(name: string, user: string): string {
  if (name === 'role') return `${valueOf(name)} OPERATOR(pg_catalog.<>) 'none'`;
  if (name === 'session_authorization') return `${valueOf(name)} OPERATOR(pg_catalog.<>) ${literal(user)}`;
  if (isCustom(name)) return `${isListedAsOwn(name)} OR (NOT ${isListed(name)} AND ${valueOf(name)} OPERATOR(pg_catalog.<>) '')`;
  return isListedAsOwn(name);
}

/** With a dot: an extension's, or an application's own, of which pg_settings says nothing. */
const isCustom = (name: string): boolean => name.includes('.');

const listed = (name: string): string =>
  `SELECT 1 FROM pg_catalog.pg_settings s WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) ${literal(name)}`;
const isListed = (name: string): string => `EXISTS (${listed(name)})`;
const isListedAsOwn = (name: string): string => `EXISTS (${listed(name)} AND s.source OPERATOR(pg_catalog.=) 'session')`;

export function readSettings(names: readonly string[], row: readonly (string | null)[] | undefined): LearnedSetting[] {
  return names.map((name, i) => {
    const value = row?.[2 * i] ?? null;
    return { name, value, own: value !== null && row?.[2 * i + 1] === 't' };
  });
}
