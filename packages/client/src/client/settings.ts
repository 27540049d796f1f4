import type { SessionEffect } from '@understudy/core/sql';

/** Settings that SET SESSION CHARACTERISTICS changes. */
const CHARACTERISTICS = ['default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable'];

/**
 * What a client's session has set, by name, with the values as the server tells them. A router does not interpret SET: it notes which
 * names a statement touches and asks the primary for their values when the transaction is over, so rollback, savepoints and functions
 * are all right by construction.
 */
export class SessionSettings {
  readonly #values: Map<string, string> = new Map();
  readonly #touched: Set<string> = new Set();

  get values(): ReadonlyMap<string, string> {
    return this.#values;
  }

  /** Names whose value must be asked for. */
  takeTouched(): readonly string[] {
    if (this.#touched.size === 0) return NONE;
    const names = [...this.#touched];
    this.#touched.clear();
    return names;
  }

  get hasTouched(): boolean {
    return this.#touched.size > 0;
  }

  /** Takes an effect into account. False: it changes a setting whose name cannot be known. */
  note(effect: SessionEffect): boolean {
    switch (effect.kind) {
      case 'set':
        if (effect.scope !== 'transaction') this.#touched.add(effect.name);
        return true;
      case 'reset':
        this.#touched.add(effect.name);
        return true;
      case 'set-config':
        if (effect.scope === 'transaction') return true;
        if (effect.name === null) return false;
        this.#touched.add(effect.name);
        return true;
      case 'set-characteristics':
        for (const name of CHARACTERISTICS) this.#touched.add(name);
        return true;
      case 'reset-all':
        for (const name of this.#values.keys()) this.#touched.add(name);
        return true;
      case 'discard':
        if (effect.target === 'all') for (const name of this.#values.keys()) this.#touched.add(name);
        return true;
      default:
        return true;
    }
  }

  /** As in a new session. */
  forget(): void {
    this.#values.clear();
    this.#touched.clear();
  }

  learn(name: string, value: string | null): void {
    if (value === null) this.#values.delete(name);
    else this.#values.set(name, value);
  }
}

const NONE: readonly string[] = [];

const literal = (text: string): string => {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
};

/** The question for the values of settings; the second argument keeps an unknown name from being an error. */
export function askSettings(names: readonly string[]): string {
  return `SELECT ${names.map(name => `pg_catalog.current_setting(${literal(name)}, true)`).join(', ')}`;
}

/** What a connection must be told so that its settings equal the client's; null when they do. */
export function settingsPatch(applied: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): string | null {
  const calls: string[] = [];
  for (const [name, value] of wanted) {
    if (applied.get(name) !== value) calls.push(`pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`);
  }
  const resets = [...applied.keys()].filter(name => !wanted.has(name)).map(name => `RESET "${name.replaceAll('"', '""')}"`);
  const parts = calls.length === 0 ? resets : [...resets, `SELECT ${calls.join(', ')}`];
  return parts.length === 0 ? null : parts.join('; ');
}
