import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import type { LoadedSettings } from '../settings/load.ts';
import { loadSettings } from '../settings/load.ts';
import { lockHolder } from '../supervisor/lock.ts';
import { type ClusterPaths, clusterPaths } from '../supervisor/paths.ts';
import { type RuntimeInfo, readRuntime } from '../supervisor/runtime-file.ts';
import { ApiClient } from './api-client.ts';
import type { CommandContext, TargetOptions } from './context.ts';
import { existingClusterDirectory } from './data-dir.ts';

/** A cluster on this machine, by its directory. */
export interface LocalCluster {
  readonly paths: ClusterPaths;
  /** Null when no supervisor runs, or the one that runs has not said yet where it listens. */
  readonly runtime: RuntimeInfo | null;
  /** The live supervisor, also before it has written its runtime file. */
  readonly supervisorPid: number | null;
}

export function localCluster(directory: string): LocalCluster {
  const paths = clusterPaths(directory);
  const supervisorPid = lockHolder(paths.lock);
  const runtime = supervisorPid === null ? null : readRuntime(paths.runtime);
  return { paths, supervisorPid, runtime: runtime?.pid === supervisorPid ? runtime : null };
}

/** The directory that --data, the environment or the configuration name, or the default. */
export async function findLocalCluster(context: CommandContext, options: TargetOptions, command: string): Promise<LocalCluster> {
  return localCluster(await existingClusterDirectory(targetSettings(context, options, command), context.cwd));
}

function targetSettings(context: CommandContext, options: TargetOptions, command: string): LoadedSettings {
  return loadSettings({ flags: { data: options.data }, env: context.env, cwd: context.cwd, command, configPath: null });
}

/** The API of the cluster that is meant. Throws `no-cluster` or `not-running` when there is nobody to ask. */
export async function connect(context: CommandContext, options: TargetOptions, command: string): Promise<ApiClient> {
  const url = options.url ?? (options.data === undefined ? context.env['UNDERSTUDY_URL'] : undefined);
  if (url) {
    const ca = options.ca ?? context.env['UNDERSTUDY_CA'];
    const authority = ca ? readAuthority(resolve(context.cwd, ca), command) : null;
    return new ApiClient(checkedUrl(url, command), context.env['UNDERSTUDY_TOKEN'] ?? null, authority);
  }
  const cluster = await findLocalCluster(context, options, command);
  return clientOf(cluster);
}

/** Throws `no-cluster` or `not-running`. */
export function clientOf(cluster: LocalCluster): ApiClient {
  const { paths, runtime } = cluster;
  if (runtime) {
    const { ca } = runtime.http;
    return new ApiClient(apiUrl(runtime), runtime.token, ca === undefined ? null : readAuthority(ca, 'status'));
  }
  throw new UnderstudyError(existsSync(paths.marker) ? 'not-running' : 'no-cluster', { path: paths.root });
}

/** An API that listens everywhere is asked on this machine. */
export function apiUrl({ http }: RuntimeInfo): string {
  const host = http.host === '0.0.0.0' ? '127.0.0.1' : http.host === '::' ? '::1' : http.host;
  return `${http.ca === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}

/** The certificate of the authority that the API's own must be of. */
function readAuthority(path: string, command: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UnderstudyError('bad-option', { option: '--ca', why: (error as Error).message, command }, { cause: error });
  }
}

function checkedUrl(text: string, command: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text;
  throw new UnderstudyError('bad-option', { option: '--url', why: `${text} is not a URL such as http://127.0.0.1:8008`, command });
}
