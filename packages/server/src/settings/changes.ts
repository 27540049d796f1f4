import type { Settings } from '@understudy/core/cluster';

/** Keys of settings of the router that differ, as `proxy.poolSize`; PostgreSQL's own are the servers' business. */
export interface SettingsChange {
  /** The router takes them on while it runs. */
  readonly atOnce: readonly string[];
  /** A restart takes them on. */
  readonly later: readonly string[];
}

const GROUPS: readonly string[] = ['proxy.', 'routing.', 'tls.'];
/** Threads and their sockets are made when the router starts. */
const AT_START = 'proxy.workers';

export function settingsChange(before: Settings, after: Settings): SettingsChange {
  const [old, now] = [flat(before), flat(after)];
  const changed = [...now.keys()]
    .filter(key => !key.startsWith('postgres.'))
    .filter(key => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key)));
  return { atOnce: changed.filter(isTakenAtOnce), later: changed.filter(key => !isTakenAtOnce(key)) };
}

function isTakenAtOnce(key: string): boolean {
  return key === 'consistency' || (key !== AT_START && GROUPS.some(group => key.startsWith(group)));
}

/** One level of groups, as the settings have. */
function flat(settings: Settings): ReadonlyMap<string, unknown> {
  return new Map(
    Object.entries(settings).flatMap(([name, value]: [string, unknown]): (readonly [string, unknown])[] =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([key, leaf]) => [`${name}.${key}`, leaf] as const)
        : [[name, value]],
    ),
  );
}

/** What an operator is told of it; null when nothing has changed. */
export function describeChange({ atOnce, later }: SettingsChange): string | null {
  const sentences = [
    ...(atOnce.length > 0 ? [`The router takes on ${atOnce.join(', ')}.`] : []),
    ...(later.length > 0 ? [`Only a restart takes on ${later.join(', ')}.`] : []),
  ];
  return sentences.length === 0 ? null : sentences.join(' ');
}
