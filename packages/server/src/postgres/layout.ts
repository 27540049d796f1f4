import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, canReach } from './account.ts';
import { PostgresError } from './errors.ts';
import { exists } from './files.ts';
import type { Provider } from './provider.ts';

/** Where one member keeps its things. All of it lies in one directory, so that renames within it are atomic. */
export interface MemberPaths {
  readonly memberDirectory: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Passwords for walreceivers, one file for each upstream name; see passfile.ts. */
  readonly passfileDirectory: string;
  /** WAL that an old primary had and nobody else, kept for people. */
  readonly divergedDirectory: string;
  /** postgresql.conf, where that of an adopted server does not lie in its data directory (Debian's do not); null: it does. */
  readonly configFile: string | null;
}

/** Where an adopted server has its data and its configuration; null: Understudy has made them. */
export type ServerPlace = Pick<MemberPaths, 'dataDirectory' | 'configFile'>;

export function memberPaths(memberDirectory: string, place: ServerPlace | null = null): MemberPaths {
  return {
    memberDirectory,
    dataDirectory: place?.dataDirectory ?? join(memberDirectory, 'data'),
    configFile: place?.configFile ?? null,
    logFile: join(memberDirectory, 'postgres.log'),
    passfileDirectory: join(memberDirectory, 'pass'),
    divergedDirectory: join(memberDirectory, 'diverged'),
  };
}

/** How PostgreSQL's program is told where its data and its configuration are. */
export function dataArguments({ dataDirectory, configFile }: ServerPlace): readonly string[] {
  return ['-D', dataDirectory, ...(configFile === null ? [] : ['-c', `config_file=${configFile}`])];
}

/** Side directories of unfinished work carry this in their name; whatever is left of them is removed by the next attempt. */
const UNFINISHED_SUFFIX = '.unfinished';

export function unfinishedDirectory(paths: MemberPaths): string {
  return `${paths.dataDirectory}${UNFINISHED_SUFFIX}`;
}

export interface ClusterDirectory {
  readonly path: string;
  /** Why it is not the default; null when it is, or was asked for. */
  readonly movedBecause: string | null;
}

/**
 * Where a cluster's data goes. An explicit directory is taken as it is, or refused with `data-directory-unreachable` when the account that
 * runs PostgreSQL cannot enter it; an unreachable default gives way to /var/lib/understudy/<cluster>, and says why.
 */
export async function chooseClusterDirectory(options: {
  readonly explicit: string | null;
  readonly defaultDirectory: string;
  readonly cluster: string;
  readonly account: Account | null;
}): Promise<ClusterDirectory> {
  const { explicit, defaultDirectory, cluster, account } = options;
  if (explicit !== null) {
    if (await canReach(account, explicit, 'enter')) return { path: explicit, movedBecause: null };
    throw new PostgresError(
      'data-directory-unreachable',
      `the account ${account?.name ?? 'of this process'}, which runs PostgreSQL, cannot enter ${explicit}`,
    );
  }
  if (await canReach(account, defaultDirectory, 'enter')) return { path: defaultDirectory, movedBecause: null };
  return {
    path: join('/var/lib/understudy', cluster),
    movedBecause: `the account ${account?.name ?? 'of this process'}, which runs PostgreSQL, cannot enter ${defaultDirectory}`,
  };
}

/**
 * Whether a data directory is there, made by this major version. Half-made ones have another name and do not count.
 * Throws `data-directory-foreign` or `data-directory-version`.
 */
export async function hasDataDirectory(paths: MemberPaths, provider: Provider): Promise<boolean> {
  const [isThere, version, isOurs] = await Promise.all([
    exists(paths.dataDirectory),
    readFile(join(paths.dataDirectory, 'PG_VERSION'), 'utf8').catch(() => null),
    exists(join(paths.dataDirectory, 'understudy.conf')),
  ]);
  if (!isThere) return false;
  if (version === null || !isOurs) {
    throw new PostgresError('data-directory-foreign', `${paths.dataDirectory} is not a data directory made by Understudy`);
  }
  if (Number(version.trim()) !== provider.version.major) {
    throw new PostgresError(
      'data-directory-version',
      `${paths.dataDirectory} was made by PostgreSQL ${version.trim()}, the binaries are PostgreSQL ${provider.version.text}`,
    );
  }
  return true;
}
