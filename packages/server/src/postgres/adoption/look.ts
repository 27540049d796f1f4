import { readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { FoundServer } from '@understudy/core/adoption';
import { makeVerifier, parseVerifier } from '@understudy/wire';
import type { Connection, Row } from '../connection.ts';
import type { Credentials } from '../credentials.ts';
import { observe } from '../observe.ts';

const SETTINGS = [
  'config_file',
  'hba_file',
  'data_directory',
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'wal_level',
  'hot_standby',
  'fsync',
  'synchronous_commit',
  'max_wal_senders',
  'max_replication_slots',
  'wal_log_hints',
  'data_checksums',
  'synchronous_standby_names',
  'archive_mode',
  'restore_command',
  'recovery_min_apply_delay',
  'promote_trigger_file',
  'primary_slot_name',
  'logging_collector',
  'ssl',
  'server_version',
];

const quoted = (names: readonly string[]): string => names.map(name => `'${name}'`).join(', ');

const READ_SETTINGS = `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (${quoted(SETTINGS)})`;
const TABLESPACES =
  "SELECT spcname AS name FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1 LIMIT 20";
const PATRONI = "SELECT count(*) AS sessions FROM pg_catalog.pg_stat_activity WHERE application_name ILIKE 'patroni%'";
const MD5_ROLES = "SELECT rolname AS name FROM pg_catalog.pg_authid WHERE rolcanlogin AND rolpassword LIKE 'md5%' ORDER BY 1 LIMIT 100";
const DATABASE = "SELECT count(*) AS found FROM pg_catalog.pg_database WHERE datname = 'postgres' AND datallowconn";
const SENDERS = `SELECT application_name, client_addr, state FROM pg_catalog.pg_stat_replication WHERE state IN ('streaming', 'catchup') ORDER BY 1, 2 LIMIT 100`;
/** A value that waits for a restart counts as "could not be applied", too; and a rule that cannot match, as one for TLS before that is switched on, is read all the same. */
const FILE_FAULTS = `SELECT f.sourcefile || ' line ' || f.sourceline || ': ' || coalesce(f.name || ': ', '') || f.error AS fault
    FROM pg_catalog.pg_file_settings f LEFT JOIN pg_catalog.pg_settings s ON s.name = pg_catalog.lower(f.name)
    WHERE f.error IS NOT NULL AND s.context IS DISTINCT FROM 'postmaster'
  UNION ALL SELECT pg_catalog.current_setting('hba_file') || ' line ' || line_number || ': ' || error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL AND type IS NULL LIMIT 20`;

/** What is wrong with the files of a running server, as they are at this moment. */
export async function fileFaults(connection: Connection): Promise<readonly string[]> {
  return (await rowsOf(connection, FILE_FAULTS)).map(row => row['fault'] ?? '');
}

export interface LookOptions {
  readonly dataDirectory: string;
  readonly credentials: Credentials;
  /** Where its member is to be reached. */
  readonly host: string;
  readonly port: number;
}

/** Everything about a running server that its adoption depends on. The connection is a superuser's. Throws what the connection throws, and changes nothing. */
export async function lookAtServer(connection: Connection, { dataDirectory, credentials, host, port }: LookOptions): Promise<FoundServer> {
  const major = Math.floor(Number((await rowsOf(connection, "SELECT current_setting('server_version_num') AS v"))[0]?.['v']) / 10_000);
  const seen = await observe(connection, dataDirectory, major);
  const settings = Object.fromEntries((await rowsOf(connection, READ_SETTINGS)).map(row => [row['name'] ?? '', row['setting'] ?? '']));
  const [info, parent] = await Promise.all([stat(dataDirectory), stat(dirname(dataDirectory))]);
  const senders = (await rowsOf(connection, SENDERS)).map(row => ({
    name: row['application_name'] ?? '',
    address: row['client_addr'] ?? '',
    state: row['state'] ?? '',
  }));
  return {
    standing:
      seen.kind === 'primary'
        ? { kind: 'primary', timeline: seen.timeline, senders }
        : { kind: 'replica', timeline: seen.timeline, walEnd: seen.walEnd, isStreaming: seen.receiver?.streaming === true },
    major,
    version: settings['server_version'] ?? '',
    systemId: seen.systemId,
    dataDirectory,
    isMountPoint: info.dev !== parent.dev,
    owner: { uid: info.uid, name: await accountName(info.uid) },
    settings,
    slots: seen.slots.map(({ name, kind, active, failover }) => ({ name, kind, active, failover })),
    tablespaces: (await rowsOf(connection, TABLESPACES)).map(row => row['name'] ?? ''),
    patroniSessions: Number((await rowsOf(connection, PATRONI))[0]?.['sessions']),
    superuser: await superuserOf(connection, credentials),
    md5Roles: (await rowsOf(connection, MD5_ROLES)).map(row => row['name'] ?? ''),
    hasPostgresDatabase: (await rowsOf(connection, DATABASE))[0]?.['found'] === '1',
    fileFaults: await fileFaults(connection),
    unreachable: await whyUnreachable(host, port),
    startsByItself: await debianStart(settings['config_file'] ?? '', dataDirectory),
  };
}

async function rowsOf(connection: Connection, text: string): Promise<readonly Row[]> {
  return (await connection.query(text))[0] ?? [];
}

async function superuserOf(connection: Connection, { superuser, superuserRole }: Credentials): Promise<FoundServer['superuser']> {
  const question = `SELECT rolsuper, rolpassword FROM pg_catalog.pg_authid WHERE rolname = '${superuserRole}'`;
  const [role] = await rowsOf(connection, question);
  if (!role) return 'absent';
  if (role['rolsuper'] !== 't') return 'not-superuser';
  const secret = role['rolpassword'];
  if (secret == null) return 'without-password';
  return isPasswordOf(secret, superuser) ? 'ours' : 'another-password';
}

/** Whether the stored secret is this password's. */
export function isPasswordOf(secret: string, password: string): boolean {
  const stored = parseVerifier(secret);
  return stored !== null && makeVerifier(password, stored.salt, stored.iterations).storedKey.equals(stored.storedKey);
}

const CONNECT_MS = 3000;

async function whyUnreachable(host: string, port: number): Promise<string | null> {
  return await new Promise(resolve => {
    const socket = connect({ host, port });
    const end = (why: string | null): void => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(CONNECT_MS, () => end(`no answer within ${CONNECT_MS} ms`));
    socket.once('connect', () => end(null));
    socket.once('error', error => end(error.message));
  });
}

async function accountName(uid: number): Promise<string> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const line = passwd.split('\n').find(each => each.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? String(uid);
}

/** Debian's start.conf, if it says that the server is started with the machine. */
async function debianStart(configFile: string, dataDirectory: string): Promise<string | null> {
  if (dirname(configFile) === dataDirectory) return null;
  const path = join(dirname(configFile), 'start.conf');
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\s*auto\b/m.test(text) ? path : null;
}
