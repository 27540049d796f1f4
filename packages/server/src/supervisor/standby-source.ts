import { readFileSync } from 'node:fs';
import {
  addressText,
  type ClusterState,
  parseSource,
  type Settings,
  type SourceFault,
  type SourceSpec,
  type StandbyOf,
  standbySlotName,
  UnderstudyError,
} from '@understudy/core/cluster';
import { withConnection } from '../postgres/connection.ts';
import type { Credentials } from '../postgres/credentials.ts';
import type { Provider } from '../postgres/provider.ts';
import { HOT_STANDBY_DEFAULTS, REPLICATION_ROLE } from '../postgres/settings.ts';
import { lookAtSource, sourceFault, type SourceNeeds } from '../postgres/source.ts';
import type { TlsSources } from '../postgres/tls-files.ts';
import type { SettingSource } from '../settings/load.ts';
import { readSecrets, type Secrets } from './secrets.ts';

const LOOK_DEADLINE_MS = 5000;

/** The cluster that a new one is to follow, with the roles of its data; both null for an ordinary cluster. Throws `bad-option`, `state-corrupt`. */
export function standbyOf({ standby }: Settings): { readonly source: SourceSpec | null; readonly secrets: Secrets | null } {
  if (standby.of === null) return { source: null, secrets: null };
  if (standby.secrets === null)
    throw new UnderstudyError('bad-option', {
      option: '--standby-secrets',
      why: 'is missing: the copy has the roles of the source, whose passwords are in its secrets.json',
      command: 'up',
    });
  return { source: sourceOf(standby.of), secrets: readSecrets(standby.secrets) };
}

/** What a new cluster's state says of its source; nothing for an ordinary one. */
export function standbyState({ standby }: Settings): Pick<ClusterState, 'standby'> {
  return standby.of === null ? {} : { standby: { source: sourceOf(standby.of), sinceMs: Date.now() } };
}

/** Throws `bad-option` for a text that the settings would refuse. */
export function sourceOf(text: string): SourceSpec {
  const result = parseSource(text);
  if (!result.ok) throw new UnderstudyError('bad-option', { option: '--standby-of', why: result.why, command: 'up' });
  return result.source;
}

/** The password of a role of its own at the source; nothing where the source is asked as its members are. Throws `bad-config`. */
export function sourcePassword({ standby }: Settings): Pick<Credentials, 'source'> {
  if (standby.passwordFile === null) return {};
  try {
    return { source: readFileSync(standby.passwordFile, 'utf8').trim() };
  } catch (error) {
    throw new UnderstudyError('bad-config', { path: standby.passwordFile, why: (error as Error).message }, { cause: error });
  }
}

/** Before anything is made: the source answers, and can be followed by this machine's programs. Throws `source-unusable` and what standbyOf throws. */
export async function requireSource(settings: Settings, provider: Provider, fromBackup: string | null): Promise<void> {
  if (fromBackup !== null)
    throw new UnderstudyError('bad-option', {
      option: '--from-backup',
      why: 'does not go with --standby-of, which copies the source',
      command: 'up',
    });
  const { source, secrets } = standbyOf(settings);
  if (source === null || secrets === null) return;
  const limits = Object.entries(HOT_STANDBY_DEFAULTS).map(([name, value]) => [name, Number(settings.postgres[name] ?? value)] as const);
  const password = sourcePassword(settings).source ?? secrets.replication;
  await examineSource(source, {
    password,
    tls: null,
    needs: { systemId: null, major: provider.version.major, limits: Object.fromEntries(limits), slot: standbySlotName(settings.cluster) },
  });
}

interface Examination {
  readonly password: string;
  /** How members of this cluster are reached, where the source says nothing of it. */
  readonly tls: TlsSources | null;
  readonly needs: SourceNeeds;
}

/** Throws `source-unusable` unless a server of the source answers and fits. */
export async function examineSource(source: SourceSpec, { password, tls, needs }: Examination): Promise<void> {
  const faults = await Promise.all(
    source.hosts.map(async (address): Promise<SourceFault | null> => {
      const endpoint = { ...address, user: source.user ?? REPLICATION_ROLE, password, tls: source.tls ?? tls };
      try {
        await withConnection(endpoint, { deadlineMs: LOOK_DEADLINE_MS }, connection => lookAtSource(connection, address, needs, new Map()));
        return null;
      } catch (error) {
        return sourceFault(address, error);
      }
    }),
  );
  const unfit = faults.find(fault => fault !== null && fault.code !== 'unreachable' && fault.code !== 'login');
  const usable = faults.some(fault => fault === null);
  const named = unfit ?? (usable ? null : faults[0]);
  if (named) throw new UnderstudyError('source-unusable', { why: `${addressText(named)}: ${named.why}` });
}

/**
 * What an existing cluster makes of the setting: the source's servers may be said anew, and nothing else. A cluster that was promoted keeps its file, and is
 * never made a standby by it. Throws `not-a-standby` when the command line asks for that.
 */
export function refreshedStandby(
  { standby }: ClusterState,
  settings: Settings,
  saidBy: SettingSource | undefined,
  path: string,
): StandbyOf | null {
  if (saidBy === undefined || settings.standby.of === null) return standby ?? null;
  if (!standby) {
    if (saidBy === 'flag') throw new UnderstudyError('not-a-standby', { path });
    return null;
  }
  return { ...standby, source: sourceOf(settings.standby.of) };
}
