import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SUPERUSER } from '../postgres/credentials.ts';
import { type ClusterState, type MemberSpec, type Settings, UnderstudyError } from '@understudy/core/cluster';
import { type Account, chooseAccount, giveTo } from '../postgres/account.ts';
import { memberPaths } from '../postgres/layout.ts';
import { restoreBackup } from '../postgres/restore.ts';
import { DEFAULT_SETTINGS } from '../postgres/settings.ts';
import { refusalOfSettings } from '../postgres/settings-check.ts';
import { embeddedProvider, type Provider, systemProvider } from '../postgres/provider.ts';
import type { LoadedSettings } from '../settings/load.ts';
import { EmbeddedStore } from '../store/embedded.ts';
import { hasMemberData, inspectDirectory, makeFolder, type Marker, requireSpace, requireVersion, writeMarker } from './directory.ts';
import { toBackupError, toUserError } from './errors.ts';
import { type DirectoryLock, lockDirectory } from './lock.ts';
import { durabilityOf, initialState, newMember } from './members.ts';
import { type ClusterPaths, clusterPaths, memberDirectory } from './paths.ts';
import { choosePort } from './ports.ts';
import { createSecrets, readSecrets, type Secrets } from './secrets.ts';
import { refreshedStandby, requireSource, standbyOf, standbyState } from './standby-source.ts';

/** Where copies of the embedded binaries go that PostgreSQL's account can reach, when the checkout is closed to it. */
export const BINARY_COPIES = '/var/lib/understudy/bin';

/** A cluster's directory, checked and locked, and what it needs to run. */
export interface PreparedCluster {
  readonly paths: ClusterPaths;
  readonly lock: DirectoryLock;
  readonly store: EmbeddedStore;
  readonly secrets: Secrets;
  readonly provider: Provider;
  readonly account: Account | null;
  readonly ports: { readonly router: number; readonly http: number };
  readonly created: boolean;
}

type Programs = Pick<PreparedCluster, 'account' | 'provider'>;

/**
 * Takes up an existing cluster or makes the files of a new one. All checks of a new one come before the first write, so that bad input touches
 * nothing; what exists is read only under the lock, since until then another supervisor may still change it. A new one's first member is made from the backup, if
 * there is one. Throws errors of the catalogue.
 */
export async function prepareCluster(
  loaded: LoadedSettings,
  directory: string,
  fromBackup: string | null = null,
): Promise<PreparedCluster> {
  const paths = clusterPaths(directory);
  if (fromBackup !== null && hasMemberData(paths)) throw new UnderstudyError('restore-into-existing', { path: paths.root });
  const isNew = inspectDirectory(paths).kind === 'new';
  const programs = await findPrograms(loaded.settings);
  const { version } = programs.provider;
  await requireSettings(programs, loaded.settings, loaded.configPath);
  requireVersion(paths, version.major, version.text);
  if (isNew) {
    if (loaded.settings.standby.of !== null) await requireSource(loaded.settings, programs.provider, fromBackup);
    requireSpace(paths.root, loaded.settings.replicas + 1);
    await choosePorts(loaded, null);
  }
  for (const folder of [paths.root, paths.run, paths.log]) makeFolder(folder);
  const lock = lockDirectory(paths.lock);
  try {
    return { paths, lock, ...programs, ...(await takeUp(loaded, paths, programs, fromBackup)) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function takeUp(
  loaded: LoadedSettings,
  paths: ClusterPaths,
  { provider, account }: Programs,
  fromBackup: string | null,
): Promise<Pick<PreparedCluster, 'store' | 'secrets' | 'ports' | 'created'>> {
  const { settings } = loaded;
  const content = inspectDirectory(paths);
  const marker = content.kind === 'ours' ? content.marker : null;
  const created = marker === null || !existsSync(paths.state);
  if (created && hasMemberData(paths)) throw new UnderstudyError('state-corrupt', { path: paths.state, why: 'it is missing' });
  const known = created ? null : { store: EmbeddedStore.open(paths.state), secrets: readSecrets(paths.secrets) };
  const ports = await choosePorts(loaded, marker);
  writeMarker(paths, {
    schema: 1,
    cluster: marker?.cluster ?? settings.cluster,
    createdAtMs: marker?.createdAtMs ?? Date.now(),
    provider: provider.kind,
    major: provider.version.major,
    port: ports.router,
    httpPort: ports.http,
  });
  makeFolder(paths.members);
  if (known) {
    await refresh(known.store, loaded, paths.root);
    return { ...known, ports, created };
  }
  const secrets = createSecrets(paths.secrets, SUPERUSER, standbyOf(settings).secrets);
  const state = { ...(await firstState(settings, ports)), ...standbyState(settings) };
  if (fromBackup !== null) await restore(state, { paths, secrets, provider, account }, fromBackup);
  return { store: EmbeddedStore.create(paths.state, state), secrets, ports, created };
}

/** The member that comes first gets the data; the cluster then begins with whoever has some. */
async function restore(
  state: ClusterState,
  { paths, secrets, provider, account }: Pick<PreparedCluster, 'paths' | 'secrets' | 'provider' | 'account'>,
  backup: string,
): Promise<void> {
  const [first] = Object.values(state.members);
  const directory = memberDirectory(paths, first!.id);
  makeFolder(directory);
  await giveTo(account, directory);
  const settings = { ...DEFAULT_SETTINGS, port: first!.port, listenAddress: first!.host };
  const { superuser, superuserRole, replication, router } = secrets;
  const credentials = { superuser, superuserRole, replication, router };
  try {
    await restoreBackup({ provider, account, paths: memberPaths(directory), settings, credentials }, backup);
  } catch (error) {
    throw toBackupError(error, backup);
  }
}

/** Account and programs that PostgreSQL runs with here. Throws errors of the catalogue. */
export async function findPrograms(settings: Settings): Promise<Programs> {
  try {
    const account = await chooseAccount();
    const provider =
      settings.provider === 'embedded'
        ? await embeddedProvider({ account, copyDirectory: BINARY_COPIES })
        : await systemProvider(settings.binDir ?? systemBinDirectory(), account);
    return { account, provider };
  } catch (error) {
    throw toUserError(error, {});
  }
}

/** PostgreSQL would not start with what it refuses here. Throws `bad-config`. */
export async function requireSettings({ provider, account }: Programs, settings: Settings, file: string | null): Promise<void> {
  const why = await refusalOfSettings(provider, account, settings.postgres);
  if (why !== null) throw new UnderstudyError('bad-config', { path: file ?? 'of `postgres`', why: `postgres: ${why}` });
}

/** The newest PostgreSQL where Debian, or an installation from source, puts it. */
function systemBinDirectory(): string {
  const candidates = [19, 18, 17, 16, 15, 14].map(major => `/usr/lib/postgresql/${major}/bin`);
  return [...candidates, '/usr/local/pgsql/bin', '/usr/bin'].find(path => existsSync(join(path, 'postgres'))) ?? '/usr/lib/postgresql';
}

async function choosePorts({ settings, sources }: LoadedSettings, marker: Marker | null): Promise<PreparedCluster['ports']> {
  const wish = (key: 'port' | 'httpPort', last: number | undefined, flag: string) => {
    const explicit = sources.has(key);
    return { port: explicit ? settings[key] : (last ?? settings[key]), explicit, flag };
  };
  const router = await choosePort(settings.host, wish('port', marker?.port, '--port'), new Set());
  const http = await choosePort(settings.httpHost, wish('httpPort', marker?.httpPort, '--http-port'), new Set([router]));
  return { router, http };
}

async function firstState(settings: Settings, ports: PreparedCluster['ports']): Promise<ClusterState> {
  const taken = new Set([ports.router, ports.http]);
  const members: MemberSpec[] = [];
  for (let i = 1; i <= settings.replicas + 1; i++) {
    const port = await choosePort(settings.host, { port: settings.memberPort, explicit: false, flag: 'memberPort' }, taken);
    taken.add(port);
    members.push(newMember(`n${i}`, settings.host, port));
  }
  return initialState(settings.cluster, members, durabilityOf(settings));
}

/** Settings said again for an existing cluster take effect. */
async function refresh(store: EmbeddedStore, { settings, sources }: LoadedSettings, path: string): Promise<void> {
  const { revision, state } = store.current;
  const standby = refreshedStandby(state, settings, sources.get('standby.of'), path);
  const wished = durabilityOf(settings);
  const durability = {
    mode: sources.has('durability') ? wished.mode : state.durability.mode,
    acks: sources.has('acks') ? wished.acks : state.durability.acks,
    whenAlone: sources.has('whenAlone') ? wished.whenAlone : state.durability.whenAlone,
    acksFrom: sources.has('acksFrom') ? wished.acksFrom : state.durability.acksFrom,
    maxLossBytes: sources.has('maxLossBytes') ? wished.maxLossBytes : state.durability.maxLossBytes,
  };
  const next = standby ? { ...state, durability, standby } : { ...state, durability };
  if (JSON.stringify(next) !== JSON.stringify(state)) await store.change(revision, next);
}
