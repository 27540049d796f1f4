import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ClusterState, type MemberSpec, type Settings, UnderstudyError } from '@understudy/core/cluster';
import { type Account, chooseAccount } from '../postgres/account.ts';
import { embeddedProvider, type Provider, systemProvider } from '../postgres/provider.ts';
import type { LoadedSettings } from '../settings/load.ts';
import { EmbeddedStore } from '../store/embedded.ts';
import { createDirectory, hasMemberData, inspectDirectory, type Marker, requireSpace, requireVersion, writeMarker } from './directory.ts';
import { toUserError } from './errors.ts';
import { type DirectoryLock, lockDirectory } from './lock.ts';
import { durabilityOf, initialState, newMember } from './members.ts';
import { type ClusterPaths, clusterPaths } from './paths.ts';
import { choosePort } from './ports.ts';
import { createSecrets, readSecrets, type Secrets } from './secrets.ts';

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

/**
 * Takes up an existing cluster or makes the files of a new one. All checks come before the first write, so that bad input touches
 * nothing. Throws errors of the catalogue.
 */
export async function prepareCluster(loaded: LoadedSettings, directory: string): Promise<PreparedCluster> {
  const { settings } = loaded;
  const paths = clusterPaths(directory);
  const content = inspectDirectory(paths);
  const { account, provider } = await findPrograms(settings);
  requireVersion(paths, provider.version.major, provider.version.text);
  const wantsStore = content.kind === 'ours' && existsSync(paths.state);
  if (!wantsStore && hasMemberData(paths)) throw new UnderstudyError('state-corrupt', { path: paths.state, why: 'it is missing' });
  const known = wantsStore ? EmbeddedStore.open(paths.state) : null;
  const knownSecrets = wantsStore ? readSecrets(paths.secrets) : null;
  if (!known) requireSpace(paths.root, settings.replicas + 1);
  const marker = content.kind === 'ours' ? content.marker : null;
  const ports = await choosePorts(loaded, marker);
  const next: Marker = {
    schema: 1,
    cluster: marker?.cluster ?? settings.cluster,
    createdAtMs: marker?.createdAtMs ?? Date.now(),
    provider: provider.kind,
    major: provider.version.major,
    port: ports.router,
    httpPort: ports.http,
  };
  createDirectory(paths, next);
  const lock = lockDirectory(paths.lock);
  try {
    writeMarker(paths, next);
    const secrets = knownSecrets ?? createSecrets(paths.secrets);
    const store = known ?? EmbeddedStore.create(paths.state, await firstState(settings, ports));
    if (known) await refresh(known, loaded);
    return { paths, lock, store, secrets, provider, account, ports, created: known === null };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function findPrograms(settings: Settings): Promise<{ account: Account | null; provider: Provider }> {
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
async function refresh(store: EmbeddedStore, { settings, sources }: LoadedSettings): Promise<void> {
  const { revision, state } = store.current;
  const wished = durabilityOf(settings);
  const durability = {
    mode: sources.has('durability') ? wished.mode : state.durability.mode,
    acks: sources.has('acks') ? wished.acks : state.durability.acks,
    whenAlone: sources.has('whenAlone') ? wished.whenAlone : state.durability.whenAlone,
    maxLossBytes: sources.has('maxLossBytes') ? wished.maxLossBytes : state.durability.maxLossBytes,
  };
  if (JSON.stringify(durability) !== JSON.stringify(state.durability)) await store.change(revision, { ...state, durability });
}
