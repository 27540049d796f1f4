import { didYouMean, UnderstudyError } from '@understudy/core/cluster';
import { describeSettings } from '@understudy/core/schemas';

const PREFIX = 'UNDERSTUDY_';

/** Variables that are not settings: where to look, and what must not stand on a command line. */
const OTHERS: readonly string[] = [
  'UNDERSTUDY_CONFIG',
  'UNDERSTUDY_URL',
  'UNDERSTUDY_TOKEN',
  'UNDERSTUDY_CA',
  'UNDERSTUDY_SERVERS',
  'UNDERSTUDY_ROUTER_PASSWORD',
];

/** The environment variable of a setting: `failover.leaseMs` is UNDERSTUDY_FAILOVER_LEASE_MS. */
export function environmentName(key: string): string {
  const words = key.replaceAll('.', '_').replaceAll(/[A-Z]/g, letter => `_${letter}`);
  return PREFIX + words.toUpperCase();
}

/** The settings said by UNDERSTUDY_* variables, as text. An empty variable counts as not set. Throws `unknown-key`. */
export function settingsFromEnvironment(env: Readonly<Record<string, string | undefined>>): ReadonlyMap<string, string> {
  const keys = new Map(describeSettings().map(({ key }) => [environmentName(key), key]));
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined || value === '' || OTHERS.includes(name)) continue;
    const key = keys.get(name);
    if (key === undefined) {
      throw new UnderstudyError('unknown-key', { key: name, path: 'the environment', hint: didYouMean(name, [...keys.keys(), ...OTHERS]) });
    }
    found.set(key, value);
  }
  return found;
}
