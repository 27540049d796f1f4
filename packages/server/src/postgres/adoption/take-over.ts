import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import type { FoundServer } from '@understudy/core/adoption';
import type { Connection } from '../connection.ts';
import { ROUTER_ROLE } from '../credentials.ts';
import { errnoOf } from '../errors.ts';
import { exists } from '../files.ts';
import type { ServerPlace } from '../layout.ts';
import { type ServerSpec, writeReplicationSettings } from '../replication.ts';
import { type KeptSettings, quoteSetting, REPLICATION_ROLE, type ReplicationSettings } from '../settings.ts';
import { ownHbaLines } from '../settings-files.ts';
import { fileFaults } from './look.ts';
import { withBlock } from './marked-block.ts';
import type { AdoptionRecord } from './record.ts';
import { rewriteFile } from './rewrite.ts';

/** What is to be remembered of a server before anything in it is changed. Reads its files. */
export async function recordOf({ settings, dataDirectory, standing, startsByItself }: FoundServer): Promise<AdoptionRecord> {
  const configFile = await inRealDirectory(settings['config_file'] ?? join(dataDirectory, 'postgresql.conf'));
  const hbaFile = await inRealDirectory(settings['hba_file'] ?? join(dataDirectory, 'pg_hba.conf'));
  const [config, hba, auto] = await Promise.all([
    readFile(configFile, 'utf8'),
    readFile(hbaFile, 'utf8'),
    textOf(join(dataDirectory, 'postgresql.auto.conf')),
  ]);
  return {
    schema: 1,
    dataDirectory,
    configFile,
    hbaFile,
    listenAddresses: settings['listen_addresses'] ?? '',
    socketDirectories: (settings['unix_socket_directories'] ?? '')
      .split(',')
      .map(each => each.trim().replace(/^"(.*)"$/, '$1'))
      .filter(each => each !== ''),
    maxWalSenders: Number(settings['max_wal_senders']),
    maxReplicationSlots: Number(settings['max_replication_slots']),
    startFile: startsByItself,
    formerSlot: standing.kind === 'replica' ? settings['primary_slot_name'] || null : null,
    originals: { config, hba, auto },
  };
}

/** The data directory is known without links, and whether a file lies in it must be seen. */
async function inRealDirectory(path: string): Promise<string> {
  return join(await realpath(dirname(path)), basename(path));
}

/** What of the record the server's settings keep. */
export function keptSettings(record: AdoptionRecord): KeptSettings {
  const { listenAddresses, socketDirectories, maxWalSenders, maxReplicationSlots } = record;
  return { listenAddresses, socketDirectories, maxWalSenders, maxReplicationSlots };
}

/** Where it is: the file of settings is named only where PostgreSQL would not find it by itself. */
export function placeOf({ dataDirectory, configFile }: AdoptionRecord): ServerPlace {
  return { dataDirectory, configFile: dirname(configFile) === dataDirectory ? null : configFile };
}

/**
 * Adds Understudy's settings and rules to the files of a running server and has it read them: its own stay as they are, ours count first. Where PostgreSQL finds an
 * error in what would then be there, every file is put back. Returns what puts them back later. Throws `adoption-failed`. May be done again at any time.
 */
export async function takeOverFiles(
  spec: ServerSpec,
  record: AdoptionRecord,
  replication: ReplicationSettings,
  connection: Connection,
): Promise<() => Promise<void>> {
  const { paths, settings, credentials } = spec;
  const [config, hba, auto] = await Promise.all([
    readFile(record.configFile, 'utf8'),
    readFile(record.hbaFile, 'utf8'),
    textOf(join(paths.dataDirectory, 'postgresql.auto.conf')),
  ]);
  await writeReplicationSettings(spec, replication);
  const include = (name: string): string => `include = ${quoteSetting(nameFrom(record, name))}`;
  const about = 'settings that failover rests on; `understudy release` takes these lines out';
  const lines = ['understudy-defaults.conf', 'understudy.conf'].map(include);
  await rewriteFile(record.configFile, withBlock(config, 'end', about, lines));
  const streaming = settings.tlsDirectory === null ? 'password' : 'certificate';
  const rules = ownHbaLines({ streaming, roles: [REPLICATION_ROLE, credentials.superuserRole, ROUTER_ROLE] });
  await rewriteFile(record.hbaFile, withBlock(hba, 'front', 'its own roles; `understudy release` takes these lines out', rules));
  const faults = await fileFaults(connection);
  if (faults.length > 0) {
    await putFiles(record, { config, hba, auto });
    throw new UnderstudyError('adoption-failed', { why: `PostgreSQL would not take its files, which were put back: ${faults.join('; ')}` });
  }
  const reload = (): Promise<unknown> => connection.query('SELECT pg_catalog.pg_reload_conf()');
  await reload();
  return async () => {
    await putFiles(record, { config, hba, auto });
    await reload();
  };
}

async function putFiles(
  { configFile, hbaFile, dataDirectory }: AdoptionRecord,
  { config, hba, auto }: AdoptionRecord['originals'],
): Promise<void> {
  await rewriteFile(configFile, config);
  await rewriteFile(hbaFile, hba);
  const autoFile = join(dataDirectory, 'postgresql.auto.conf');
  if (await exists(autoFile)) await rewriteFile(autoFile, auto);
}

/** Within the data directory without its path, so that a copy of it on another machine finds its own. */
function nameFrom({ configFile, dataDirectory }: AdoptionRecord, name: string): string {
  return dirname(configFile) === dataDirectory ? name : join(dataDirectory, name);
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  });
}
