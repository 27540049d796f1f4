import { readFileSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { errnoOf, PostgresError } from './errors.ts';
import { exists, replaceFile, syncDirectory, syncFile, writeFileAtomically } from './files.ts';
import {
  ownedSettings,
  REPLICATION_ROLE,
  type ReplicationSettings,
  readReplicationSettings,
  renderConfig,
  renderDefaults,
  type ServerSettings,
} from './settings.ts';

const INCLUDES = `
# Added by Understudy: the last one that sets a value wins.
include = 'understudy-defaults.conf'
include_if_exists = 'user.conf'
include = 'understudy.conf'
`;

/**
 * Hooks our files into a fresh postgresql.conf, and writes a pg_hba.conf that asks everybody for a SCRAM password; with TLS between members,
 * who streams must show a certificate of the cluster, too.
 */
export async function installSettingsFiles(
  account: Account | null,
  dataDirectory: string,
  streaming: 'password' | 'certificate',
): Promise<void> {
  await appendFile(join(dataDirectory, 'postgresql.conf'), INCLUDES);
  await writeFileAtomically(account, join(dataDirectory, 'pg_hba.conf'), renderHba(streaming));
  await writeFileAtomically(account, join(dataDirectory, 'user.conf'), USER_CONF);
}

const USER_CONF = '# Your own PostgreSQL settings. Understudy never touches this file.\n';

/**
 * Makes a copy of another cluster's data one of ours: who may connect is said anew, since the other may ask for certificates that nobody here has, and our files
 * are hooked in where they are not yet.
 */
export async function adoptSettingsFiles(
  account: Account | null,
  dataDirectory: string,
  streaming: 'password' | 'certificate',
): Promise<void> {
  const path = join(dataDirectory, 'postgresql.conf');
  const text = readIfThere(path);
  const isHooked = text.includes("include = 'understudy.conf'");
  if (!isHooked) {
    await writeFileAtomically(account, path, `${text}${INCLUDES}`);
    await writeFileAtomically(account, join(dataDirectory, 'user.conf'), USER_CONF);
  }
  await writeFileAtomically(account, join(dataDirectory, 'pg_hba.conf'), renderHba(streaming));
}

/** A copy of an adopted server whose files lay outside of its data directory lacks them: then it gets the plain ones. */
export async function completeSettingsFiles(
  account: Account | null,
  dataDirectory: string,
  streaming: 'password' | 'certificate',
): Promise<void> {
  const config = join(dataDirectory, 'postgresql.conf');
  if (!(await exists(config))) await writeFileAtomically(account, config, '');
  if (!readIfThere(config).includes("'understudy.conf'")) await appendFile(config, INCLUDES);
  for (const [name, text] of [
    ['pg_hba.conf', renderHba(streaming)],
    ['pg_ident.conf', ''],
  ] as const) {
    const path = join(dataDirectory, name);
    if (!(await exists(path))) await writeFileAtomically(account, path, text);
  }
}

/**
 * With TLS between members nothing enters in the clear but what comes from this machine; and the role that streams and copies, on whichever kind of
 * connection, shows a certificate of the cluster beside its password.
 */
export function renderHba(streaming: 'password' | 'certificate'): string {
  const lines =
    streaming === 'password'
      ? ['local    all              all  scram-sha-256', 'host     all,replication  all  all  scram-sha-256']
      : [
          'local    all              all  scram-sha-256',
          `hostssl  all,replication  ${REPLICATION_ROLE}  all  scram-sha-256 clientcert=verify-ca`,
          `host     all,replication  ${REPLICATION_ROLE}  all  reject`,
          'host     all              all  samehost  scram-sha-256',
          'hostssl  all              all  all  scram-sha-256',
          'hostssl  replication      all  all  scram-sha-256 clientcert=verify-ca',
        ];
  return `# TYPE  DATABASE  USER  ADDRESS  METHOD\n${lines.join('\n')}\n`;
}

/** What our files of a data directory are made from. */
export interface OwnedFiles {
  readonly account: Account | null;
  readonly dataDirectory: string;
  /** Of PostgreSQL. */
  readonly major: number;
  readonly settings: ServerSettings;
  readonly replication: ReplicationSettings;
  readonly passfile: string;
}

/** What roles of Understudy's own need in the pg_hba.conf of a server that it has adopted: first lines, which concern no other role. */
export function ownHbaLines(needs: {
  readonly streaming: 'password' | 'certificate';
  readonly roles: readonly string[];
}): readonly string[] {
  const line = (kind: 'host' | 'hostssl', roles: readonly string[], address: string, method: string): string =>
    `${kind}  all,replication  ${roles.join(',')}  ${address}  ${method}`;
  if (needs.streaming === 'password') return [line('host', needs.roles, 'all', 'scram-sha-256')];
  const others = needs.roles.filter(role => role !== REPLICATION_ROLE);
  return [
    line('hostssl', [REPLICATION_ROLE], 'all', 'scram-sha-256 clientcert=verify-ca'),
    line('host', [REPLICATION_ROLE], 'all', 'reject'),
    line('host', others, 'samehost', 'scram-sha-256'),
    line('hostssl', others, 'all', 'scram-sha-256'),
  ];
}

/** Writes all of our files of a data directory, whole. They take force at the next start or reload. */
export async function writeSettings(files: OwnedFiles): Promise<void> {
  const { account, dataDirectory, major, settings } = files;
  await Promise.all([
    writeFileAtomically(account, join(dataDirectory, 'understudy-defaults.conf'), renderDefaults(settings)),
    removeOverrides(account, dataDirectory, major),
    writeFileAtomically(account, ownedPath(dataDirectory), renderOwned(files)),
  ]);
}

/** Writes the defaults and what the operator has set, if that is something else than there is. In force at the next start or reload. */
export async function writeDefaults(account: Account | null, dataDirectory: string, settings: ServerSettings): Promise<'written' | 'same'> {
  const path = join(dataDirectory, 'understudy-defaults.conf');
  const text = renderDefaults(settings);
  if (readIfThere(path) === text) return 'same';
  await writeFileAtomically(account, path, text);
  return 'written';
}

/**
 * The part of writeSettings that may change while a server runs, without waiting for the disk (see replaceFile): each start writes it anew, but for
 * the synchronous names of a primary (syncSettings).
 */
export async function changeSettings(files: OwnedFiles): Promise<void> {
  const { account, dataDirectory, major } = files;
  await removeOverrides(account, dataDirectory, major);
  replaceFile(account, ownedPath(dataDirectory), renderOwned(files));
}

/** Makes durable what changeSettings wrote. */
export async function syncSettings(dataDirectory: string): Promise<void> {
  await syncFile(ownedPath(dataDirectory));
  await syncDirectory(dataDirectory);
}

function renderOwned({ major, settings, replication, passfile }: OwnedFiles): string {
  return renderConfig(major, settings, replication, passfile);
}

function ownedPath(dataDirectory: string): string {
  return join(dataDirectory, 'understudy.conf');
}

/** The replication settings that a data directory was last given. Throws `data-directory-corrupt`. */
export async function loadReplicationSettings(dataDirectory: string): Promise<ReplicationSettings> {
  const replication = readReplicationSettings(await readFile(ownedPath(dataDirectory), 'utf8'));
  if (!replication) throw new PostgresError('data-directory-corrupt', `${ownedPath(dataDirectory)} was not written by Understudy`);
  return replication;
}

/** ALTER SYSTEM writes a file that beats every other one: what failover rests on is taken out of it, the rest stays. */
async function removeOverrides(account: Account | null, dataDirectory: string, major: number): Promise<void> {
  const path = join(dataDirectory, 'postgresql.auto.conf');
  const text = readIfThere(path);
  const cleaned = withoutSettings(text, ownedSettings(major));
  if (cleaned !== text) await writeFileAtomically(account, path, cleaned);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}

/** Drops the lines that set one of the names. */
export function withoutSettings(config: string, names: ReadonlySet<string>): string {
  return config
    .split('\n')
    .filter(line => !names.has((/^\s*([\w.]+)\s*[= ]/.exec(line)?.[1] ?? '').toLowerCase()))
    .join('\n');
}
