import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFollowName } from '@understudy/core/cluster';
import type { Connection } from '../connection.ts';
import { formatConninfo, parseConninfo } from '../conninfo.ts';
import { ROUTER_ROLE } from '../credentials.ts';
import { PostgresError } from '../errors.ts';
import { exists, writeFileAtomically } from '../files.ts';
import { revokeStreaming } from '../passfile.ts';
import type { RunningServer, ServerSpec } from '../replication.ts';
import { REPLICATION_ROLE, type Upstream } from '../settings.ts';
import { loadReplicationSettings, ownHbaLines, renderHba } from '../settings-files.ts';
import { dropSlot, listSlots } from '../slots.ts';
import { pollUntil } from '../wait.ts';
import { releasedAutoConf } from './auto-conf.ts';
import { fileFaults } from './look.ts';
import { withBlock, withoutBlock } from './marked-block.ts';
import { type AdoptionRecord, readAdoption, removeAdoption } from './record.ts';
import { rewriteFile } from './rewrite.ts';

const DEFAULTS = 'understudy-defaults.conf';
const LEFT = 'left by `understudy release`: replicas stream under this role';
const POLL_MS = 50;

/** Values that a server runs with by Understudy's file, and that a plain start should find again: only a restart could change them. */
const FIXED_BY_US = `SELECT name, pg_catalog.current_setting(name) AS value FROM pg_catalog.pg_settings
  WHERE sourcefile LIKE '%/understudy.conf' AND context = 'postmaster'`;

/** What the server's other files say of synchronous replication, by names that nobody streams under any more. */
const SYNCHRONOUS = `SELECT setting FROM pg_catalog.pg_file_settings WHERE name = 'synchronous_standby_names' AND sourcefile NOT LIKE '%/understudy.conf'
  ORDER BY seqno DESC LIMIT 1`;

/**
 * Turns a running server's files into those of a plain one and has it read them. It is not restarted: what it was started with stays, written to postgresql.auto.conf as
 * ALTER SYSTEM would. A replica streams on, by a password in its primary_conninfo; commits wait for nobody. May be done again. Throws `release-failed`.
 */
export async function releaseServer(spec: ServerSpec, running: RunningServer, deadlineMs: number): Promise<void> {
  const { paths, account } = spec;
  const { upstream } = await loadReplicationSettings(paths.dataDirectory);
  const record = await readAdoption(paths.memberDirectory);
  const autoFile = join(paths.dataDirectory, 'postgresql.auto.conf');
  await running.ask(deadlineMs, async connection => {
    const settings = await plainSettings(spec, record, upstream, connection);
    const auto = (await exists(autoFile)) ? await readFile(autoFile, 'utf8') : '';
    await writeFileAtomically(account, autoFile, releasedAutoConf(auto, record?.originals.auto ?? '', settings));
    await releaseFiles(spec, record);
    const faults = await fileFaults(connection);
    if (faults.length > 0) throw new PostgresError('release-failed', `PostgreSQL would not take its files: ${faults.join('; ')}`);
  });
  running.reload();
  if (upstream !== null) await whenStreaming(running, plainConninfo(spec, upstream), deadlineMs);
  await running.ask(deadlineMs, connection => dropIdleSlots(connection, spec.provider.version.major));
}

/** After that nothing of Understudy's is left in the data directory, and nothing of the server in the member's. */
export async function forgetServer({ paths }: ServerSpec): Promise<void> {
  const { dataDirectory, memberDirectory, passfileDirectory } = paths;
  const record = await readAdoption(memberDirectory);
  if (record !== null) {
    await changeText(record.hbaFile, text =>
      withBlock(text, 'front', LEFT, ownHbaLines({ streaming: 'password', roles: [REPLICATION_ROLE] })),
    );
    if (record.startFile !== null) await changeText(record.startFile, text => text.replace(/^(\s*)disabled\b/m, '$1auto'));
  }
  revokeStreaming(passfileDirectory);
  await rm(join(memberDirectory, 'promise.json'), { force: true });
  await removeAdoption(memberDirectory);
  for (const name of ['understudy.conf', DEFAULTS, 'understudy.probe']) await rm(join(dataDirectory, name), { force: true });
}

async function plainSettings(
  { credentials, settings }: ServerSpec,
  record: AdoptionRecord | null,
  upstream: Upstream | null,
  connection: Connection,
): Promise<ReadonlyMap<string, string>> {
  const [fixed] = await connection.query(FIXED_BY_US);
  const [synchronous] = await connection.query(SYNCHRONOUS);
  const plain = new Map<string, string>(record === null ? [] : Object.entries(settings.operator));
  for (const row of fixed ?? []) plain.set(row['name'] ?? '', row['value'] ?? '');
  if (synchronous?.[0]?.['setting']) plain.set('synchronous_standby_names', '');
  if (upstream !== null) {
    plain.set('primary_conninfo', plainConninfo({ credentials }, upstream));
    plain.set('primary_slot_name', upstream.slotName ?? '');
  }
  return plain;
}

/** As pg_basebackup -R writes it. Its name in pg_stat_replication, and for synchronous_standby_names, is the member's. */
function plainConninfo({ credentials }: Pick<ServerSpec, 'credentials'>, { host, port, applicationName }: Upstream): string {
  return formatConninfo({
    host,
    port: String(port),
    user: REPLICATION_ROLE,
    password: credentials.replication,
    dbname: 'postgres',
    application_name: parseFollowName(applicationName)?.id ?? applicationName,
    sslmode: 'prefer',
  });
}

async function releaseFiles({ paths, account, settings, credentials }: ServerSpec, record: AdoptionRecord | null): Promise<void> {
  if (record !== null) {
    await changeText(record.configFile, withoutBlock);
    // Its agent still has to log in.
    const roles = [REPLICATION_ROLE, credentials.superuserRole, ROUTER_ROLE];
    await changeText(record.hbaFile, text => withBlock(text, 'front', LEFT, ownHbaLines({ streaming: 'password', roles })));
    return;
  }
  const defaults = join(paths.dataDirectory, DEFAULTS);
  const lines = (await exists(defaults)) ? (await readFile(defaults, 'utf8')).replace(/^#.*\n/, '') : '';
  await changeText(join(paths.dataDirectory, 'postgresql.conf'), text => withoutIncludes(text, lines));
  // Without the certificates of the cluster nobody can show one.
  if (settings.tlsDirectory !== null) await writeFileAtomically(account, join(paths.dataDirectory, 'pg_hba.conf'), renderHba('password'));
}

/** postgresql.conf of a server that Understudy has made: its defaults stand where they were included. Pure. */
export function withoutIncludes(config: string, defaults: string): string {
  return config
    .replace(/^# Added by Understudy.*\n/m, '')
    .replace(/^include = 'understudy-defaults\.conf'\n/m, () => defaults)
    .replace(/^include = 'understudy\.conf'\n/m, '');
}

async function changeText(path: string, change: (text: string) => string): Promise<void> {
  await rewriteFile(path, change(await readFile(path, 'utf8')));
}

async function whenStreaming(running: RunningServer, conninfo: string, deadlineMs: number): Promise<void> {
  const name = parseConninfo(conninfo)['application_name'];
  const question = 'SELECT status, conninfo FROM pg_catalog.pg_stat_wal_receiver';
  const streams = await pollUntil(
    async () => {
      const [rows] = await running.ask(deadlineMs, connection => connection.query(question));
      const row = rows?.[0];
      return row?.['status'] === 'streaming' && parseConninfo(row['conninfo'] ?? '')['application_name'] === name ? true : null;
    },
    { intervalMs: POLL_MS, deadlineMs },
  );
  if (streams === null) throw new PostgresError('release-failed', `it did not stream by its plain settings within ${deadlineMs} ms`);
}

/** Those kept for other members in case they follow this one would hold its WAL for ever. Those in use stay. */
async function dropIdleSlots(connection: Connection, major: number): Promise<void> {
  const slots = await listSlots(connection, major);
  const idle = slots.filter(({ name, kind, active }) => kind === 'physical' && !active && name.startsWith('understudy_'));
  for (const { name } of idle) await dropSlot(connection, name);
}
