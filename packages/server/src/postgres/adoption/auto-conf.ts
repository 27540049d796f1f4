import { quoteSetting } from '../settings.ts';

/** How replication goes on is said anew by a release: what was there before may name servers that are others by now. */
const STREAMING: ReadonlySet<string> = new Set([
  'primary_conninfo',
  'primary_slot_name',
  'synchronous_standby_names',
  'recovery_target_timeline',
  'sync_replication_slots',
  'synchronized_standby_slots',
]);

const SETTING = /^\s*([\w.]+)\s*[= ]/;

function nameIn(line: string): string | null {
  return SETTING.exec(line)?.[1]?.toLowerCase() ?? null;
}

/**
 * postgresql.auto.conf of a server that is released: what it holds now; what adoption took out of it, but for replication; and these settings, which count
 * whatever was there. Pure.
 */
export function releasedAutoConf(now: string, before: string, settings: ReadonlyMap<string, string>): string {
  const lines = now.split('\n').filter(line => line !== '' && !settings.has(nameIn(line) ?? ''));
  const present = new Set(lines.map(nameIn));
  const back = before.split('\n').filter(line => {
    const name = nameIn(line);
    return name !== null && !present.has(name) && !settings.has(name) && !STREAMING.has(name);
  });
  const added = [...settings].map(([name, value]) => `${name} = ${quoteSetting(value)}`);
  return `${[...lines, ...back, ...added].join('\n')}\n`;
}
