import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { runCommand } from './command.ts';
import { type Credentials, ROUTER_ROLE } from './credentials.ts';
import { PostgresError } from './errors.ts';
import { writeFileAtomically } from './files.ts';
import { makeDataDirectory, writeIsolatedSettings } from './new-data-directory.ts';
import type { MemberPaths } from './layout.ts';
import { quoteLiteral, runSingleUser } from './single-user.ts';
import type { Provider } from './provider.ts';
import { REPLICATION_ROLE, type ServerSettings } from './settings.ts';
import { installSettingsFiles } from './settings-files.ts';

const INITDB_TIMEOUT_MS = 120_000;

export interface InitializeOptions {
  readonly provider: Provider;
  readonly account: Account | null;
  readonly paths: MemberPaths;
  readonly settings: ServerSettings;
  readonly credentials: Credentials;
  readonly signal?: AbortSignal;
}

/**
 * Makes a new database cluster: checksums, UTF-8, SCRAM for every connection, our roles and settings. All of it happens in a side
 * directory that is renamed into place at the end, and the roles are made without a server that anybody could connect to.
 * Throws `data-directory-foreign` when something is there already, `initdb-failed`, `disk-full`.
 */
export async function initialize(options: InitializeOptions): Promise<void> {
  const { account, settings } = options;
  await makeDataDirectory(options, async side => {
    await runInitdb(options, side);
    await createRoles(options, side);
    await installSettingsFiles(account, side, settings.tlsDirectory === null ? 'password' : 'certificate');
    await writeIsolatedSettings(options, side);
  });
}

/**
 * A promotion copies one segment (XLogInitNewTimeline in xlog.c) and each replica then makes one (XLogFileInit), 16 MB by default, before the first
 * commit of a new term can be acknowledged; a clone carries one or two.
 */
const WAL_SEGMENT_MB = 4;

async function runInitdb(options: InitializeOptions, directory: string): Promise<void> {
  const { account, credentials, paths, provider } = options;
  const passwordFile = join(paths.memberDirectory, `initdb-${randomBytes(4).toString('hex')}.tmp`);
  await writeFileAtomically(account, passwordFile, `${credentials.superuser}\n`);
  try {
    const result = await runCommand(
      account,
      provider.initdb,
      [
        '-D',
        directory,
        '-U',
        credentials.superuserRole,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--data-checksums',
        `--wal-segsize=${WAL_SEGMENT_MB}`,
        '--encoding=UTF8',
        '--no-instructions',
        // Synced once, when our own files are there too.
        '--no-sync',
        ...localeOptions(provider.version.major),
      ],
      { timeoutMs: INITDB_TIMEOUT_MS, ...(options.signal ? { signal: options.signal } : {}) },
    );
    if (result.exitCode === 0) return;
    throw new PostgresError(
      /No space left on device/.test(result.stderr) ? 'disk-full' : 'initdb-failed',
      `initdb failed in ${directory}`,
      { detail: result.stderr.trim() },
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** The same order of text on every machine, so that an index of one member is right on another: no locale of the operating system. */
function localeOptions(major: number): readonly string[] {
  return major >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C'];
}

async function createRoles({ account, credentials, provider, signal }: InitializeOptions, directory: string): Promise<void> {
  await runSingleUser({ account, provider, directory, statements: roleStatements(credentials), ...(signal ? { signal } : {}) });
}

/**
 * What the router's role needs, and may be made again. `understudy.user_secret(name)` gives the router a user's SCRAM verifier: pg_authid can be read by superusers only, so the
 * function runs with its owner's rights, with a fixed search_path, and nobody else may call it.
 */
export const ROUTER_OBJECTS: readonly string[] = [
  `GRANT pg_monitor TO ${ROUTER_ROLE}`,
  'CREATE SCHEMA IF NOT EXISTS understudy',
  'REVOKE ALL ON SCHEMA understudy FROM PUBLIC',
  `CREATE OR REPLACE FUNCTION understudy.user_secret(user_name pg_catalog.name, OUT verifier pg_catalog.text, OUT valid_until pg_catalog.timestamptz, OUT can_login pg_catalog.bool)
     RETURNS SETOF pg_catalog.record LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
     AS $$ SELECT a.rolpassword, a.rolvaliduntil, a.rolcanlogin FROM pg_catalog.pg_authid a WHERE a.rolname = user_name $$`,
  'REVOKE ALL ON FUNCTION understudy.user_secret(pg_catalog.name) FROM PUBLIC',
  `GRANT USAGE ON SCHEMA understudy TO ${ROUTER_ROLE}`,
  `GRANT EXECUTE ON FUNCTION understudy.user_secret(pg_catalog.name) TO ${ROUTER_ROLE}`,
];

function roleStatements({ replication, router }: Credentials): readonly string[] {
  return [
    `CREATE ROLE ${REPLICATION_ROLE} LOGIN REPLICATION PASSWORD ${quoteLiteral(replication)}`,
    `CREATE ROLE ${ROUTER_ROLE} LOGIN PASSWORD ${quoteLiteral(router)}`,
    ...ROUTER_OBJECTS,
  ];
}
