import { SettingsSet } from './settings-set.ts';

/** What a client's startup message asks of the servers. */
export interface StartupSettings {
  /** Settings as SET could make them: given to whichever backend serves the client. */
  readonly settings: SettingsSet;
  /** What only the start of a backend can take: clients that differ in it share none. */
  readonly fixed: ReadonlyMap<string, string>;
}

/** Settings of the contexts `backend` and `superuser-backend`: they cannot be changed after the start of a connection. */
const ONLY_AT_START: ReadonlySet<string> = new Set([
  'ignore_system_indexes',
  'jit_debugging_support',
  'jit_profiling_support',
  'local_preload_libraries',
  'log_connections',
  'log_disconnections',
  'post_auth_delay',
]);

const NOT_SETTINGS: ReadonlySet<string> = new Set(['user', 'database', 'replication', 'options']);

/** Sorts the parameters of a startup message. Those of the router and of the protocol are left out. */
export function startupSettings(parameters: ReadonlyMap<string, string>): StartupSettings {
  const settings = new Map<string, string>();
  const fixed = new Map<string, string>();
  const take = (name: string, value: string): void => {
    const key = name.toLowerCase();
    if (key.startsWith('_pq_.') || key.startsWith('understudy.')) return;
    if (ONLY_AT_START.has(key)) fixed.set(key, value);
    else settings.set(key, value);
  };
  const options = readOptions(parameters.get('options') ?? '');
  if (options === null) fixed.set('options', parameters.get('options') as string);
  else for (const [name, value] of options) take(name, value);
  // As in PostgreSQL: what is said by name wins over the options.
  for (const [name, value] of parameters) if (!NOT_SETTINGS.has(name)) take(name, value);
  return { settings: SettingsSet.of(settings), fixed };
}

/**
 * The command-line options of a backend, as far as they are settings (`-c name=value`, `--name=value`); null when there are others.
 * A backslash makes the next character an ordinary one. Source: pg_split_opts in src/backend/utils/init/postinit.c
 */
function readOptions(text: string): (readonly [string, string])[] | null {
  const words = splitOptions(text);
  const found: (readonly [string, string])[] = [];
  for (let i = 0; i < words.length; i++) {
    let word = words[i] as string;
    if (word === '-c') {
      i += 1;
      word = `-c${words[i] ?? ''}`;
    }
    const match = /^(?:-c|--)([^=]+)=(.*)$/s.exec(word);
    if (match === null) return null;
    found.push([(match[1] as string).replaceAll('-', '_'), match[2] as string]);
  }
  return found;
}

function splitOptions(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:\\[\s\S]|[^\s\\])+/g)) words.push(word.replaceAll(/\\([\s\S])/g, '$1'));
  return words;
}
