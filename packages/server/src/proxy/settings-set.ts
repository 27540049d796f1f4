/**
 * Settings under which PostgreSQL reads the text of a statement: constants are turned into values when it is parsed, so a prepared statement
 * may only be shared by sessions that agree on these. (The search path and the role are looked at again when it runs.)
 */
const SEEN_BY_PARSER: ReadonlySet<string> = new Set([
  'array_nulls',
  'backslash_quote',
  'client_encoding',
  'datestyle',
  'intervalstyle',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'standard_conforming_strings',
  'timezone',
  'timezone_abbreviations',
  'transform_null_equals',
  'xmloption',
]);

/** Sets that are kept by content, so that clients with equal settings share one object. */
const MAX_SHARED = 5_000;

/** Settings by name in lower case, with their values as the server tells them. Never changed: sessions and backends share them. */
export class SettingsSet {
  static readonly #shared = new Map<string, SettingsSet>();
  static readonly EMPTY: SettingsSet = SettingsSet.of(new Map());

  readonly values: ReadonlyMap<string, string>;
  /** Equal for equal sets. */
  readonly signature: string;
  /** The part of the signature that matters to how a statement is parsed. */
  readonly parseScope: string;

  private constructor(values: ReadonlyMap<string, string>, signature: string) {
    this.values = values;
    this.signature = signature;
    this.parseScope = signatureOf([...values].filter(([name]) => SEEN_BY_PARSER.has(name)));
  }

  static of(values: ReadonlyMap<string, string>): SettingsSet {
    const signature = signatureOf([...values]);
    let found = SettingsSet.#shared.get(signature);
    if (found === undefined) {
      if (SettingsSet.#shared.size >= MAX_SHARED) SettingsSet.#shared.clear();
      found = new SettingsSet(new Map(values), signature);
      SettingsSet.#shared.set(signature, found);
    }
    return found;
  }

  equals(other: SettingsSet): boolean {
    return this === other || this.signature === other.signature;
  }

  /** The set with these changes; null takes a setting out. */
  with(changes: Iterable<readonly [name: string, value: string | null]>): SettingsSet {
    const values = new Map(this.values);
    for (const [name, value] of changes) {
      if (value === null) values.delete(name);
      else values.set(name, value);
    }
    return SettingsSet.of(values);
  }
}

function signatureOf(entries: readonly (readonly [string, string])[]): string {
  if (entries.length === 0) return '';
  return JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether a change of this setting changes how texts are parsed. */
export function isSeenByParser(name: string): boolean {
  return SEEN_BY_PARSER.has(name);
}

/** These decide what may be set at all, so they are taken back first and made last; the session's user changes its role. */
const IDENTITY = ['session_authorization', 'role'] as const;

export const literal = (text: string): string => {
  // Escapes instead of characters: the backend may read this in any encoding.
  const ascii = text
    .replaceAll('\\', '\\\\')
    .replaceAll(/[^\x20-\x7e]/gu, c => `\\U${(c.codePointAt(0) as number).toString(16).padStart(8, '0')}`);
  const quoted = `'${ascii.replaceAll("'", "''")}'`;
  return ascii.includes('\\') ? `E${quoted}` : quoted;
};

const setConfig = (name: string, value: string): string => `pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`;
const reset = (name: string): string =>
  name === 'session_authorization' ? 'RESET SESSION AUTHORIZATION' : `RESET "${name.replaceAll('"', '""')}"`;

/** What a backend must be told so that its settings become those of a client; null when they are. */
export function settingsPatch(applied: SettingsSet, wanted: SettingsSet): string | null {
  if (applied.equals(wanted)) return null;
  const resets: string[] = [];
  const calls: string[] = [];
  for (const name of IDENTITY) if (applied.values.has(name)) resets.push(reset(name));
  for (const name of applied.values.keys()) if (!wanted.values.has(name) && !isIdentity(name)) resets.push(reset(name));
  for (const [name, value] of wanted.values) {
    if (!isIdentity(name) && applied.values.get(name) !== value) calls.push(setConfig(name, value));
  }
  for (const name of IDENTITY) {
    const value = wanted.values.get(name);
    if (value !== undefined) calls.push(setConfig(name, value));
  }
  return [...resets, ...(calls.length === 0 ? [] : [`SELECT ${calls.join(', ')}`])].join('; ');
}

function isIdentity(name: string): boolean {
  return name === 'role' || name === 'session_authorization';
}
