import { didYouMean, type Settings, UnderstudyError } from '@understudy/core/cluster';
import { describeSettings, parseSettings, type SettingsIssue } from '@understudy/core/schemas';
import { environmentName, settingsFromEnvironment } from './environment.ts';
import { type ConfigFile, readConfigFile } from './file.ts';

export type SettingSource = 'flag' | 'environment' | 'file';

export interface SettingsInput {
  /** What the command line said, by the key of the setting; what it did not say is not there. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The command, for the messages. */
  readonly command: string;
  /** Value of --config. */
  readonly configPath: string | null;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Who said a setting. Not in it: it has its default. A port that is in it and taken is an error, a default moves on. */
  readonly sources: ReadonlyMap<string, SettingSource>;
  readonly configPath: string | null;
}

/** Flags before environment before file before defaults. Throws `bad-option`, `unknown-key`, `bad-config`. */
export function loadSettings(input: SettingsInput): LoadedSettings {
  const file = readConfigFile(input.cwd, input.configPath ?? (input.env['UNDERSTUDY_CONFIG'] || null));
  const merged: Record<string, unknown> = structuredClone(file?.content ?? {});
  const sources = new Map<string, SettingSource>();
  noteFileKeys(merged, '', sources);
  for (const [key, value] of settingsFromEnvironment(input.env)) put(merged, sources, key, value, 'environment');
  for (const [key, value] of Object.entries(input.flags)) {
    if (value !== undefined) put(merged, sources, key, value, 'flag');
  }
  const result = parseSettings(merged);
  if (!result.ok) throw errorOf(result.issues[0]!, sources, file, input.command);
  return { settings: result.settings, sources, configPath: file?.path ?? null };
}

function noteFileKeys(object: Readonly<Record<string, unknown>>, prefix: string, sources: Map<string, SettingSource>): void {
  for (const [name, value] of Object.entries(object)) {
    if (isGroup(value)) noteFileKeys(value, `${prefix}${name}.`, sources);
    else sources.set(`${prefix}${name}`, 'file');
  }
}

function put(
  target: Record<string, unknown>,
  sources: Map<string, SettingSource>,
  key: string,
  value: unknown,
  source: SettingSource,
): void {
  const [first, second] = key.split('.') as [string, string | undefined];
  if (second === undefined) target[first] = value;
  else {
    const group = target[first];
    target[first] = { ...(isGroup(group) ? group : {}), [second]: value };
  }
  sources.set(key, source);
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function errorOf(
  issue: SettingsIssue,
  sources: ReadonlyMap<string, SettingSource>,
  file: ConfigFile | null,
  command: string,
): UnderstudyError {
  const { key } = issue;
  const path = file?.path ?? 'the configuration';
  if (issue.kind === 'unknown-key') return new UnderstudyError('unknown-key', { key, path, hint: didYouMean(key, knownKeys()) });
  switch (sources.get(key)) {
    case 'flag':
      return new UnderstudyError('bad-option', { option: flagName(key), why: issue.why, command });
    case 'environment':
      return new UnderstudyError('bad-option', { option: environmentName(key), why: issue.why, command });
    case 'file':
    case undefined:
      return new UnderstudyError('bad-config', { path, why: `${key} ${issue.why}` });
  }
}

/** The keys of all settings, and the names of their groups. */
function knownKeys(): ReadonlySet<string> {
  return new Set(describeSettings().flatMap(({ key }) => (key.includes('.') ? [key, key.split('.')[0]!] : [key])));
}

/** `httpPort` is --http-port, `tls.cert` is --tls-cert. */
export function flagName(key: string): string {
  return `--${key.replaceAll('.', '-').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
}
