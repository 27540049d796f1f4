import { readFile } from 'node:fs/promises';
import type { FoundServer } from '@understudy/core/adoption';
import { type ClusterState, streamName, UnderstudyError } from '@understudy/core/cluster';
import { slotName } from '@understudy/core/failover';
import { rewriteFile } from '../postgres/adoption/rewrite.ts';
import { ensureRoles } from '../postgres/adoption/roles.ts';
import type { AdoptionRecord } from '../postgres/adoption/record.ts';
import { takeOverFiles } from '../postgres/adoption/take-over.ts';
import { type Connection, type Endpoint, withConnection } from '../postgres/connection.ts';
import type { ServerSpec } from '../postgres/index.ts';
import { REPLICATION_ROLE, tlsOfMember } from '../postgres/settings.ts';
import { dropSlot, ensureSlot, listSlots } from '../postgres/slots.ts';
import { pollUntil } from '../postgres/wait.ts';
import type { ServiceSettings } from './settings.ts';

/** All that an adoption works with. */
export interface AdoptionSite {
  readonly config: ServiceSettings;
  readonly spec: ServerSpec;
  readonly record: AdoptionRecord;
  readonly found: FoundServer;
  readonly connection: Connection;
  readonly say: (message: string) => void;
}

const POLL_MS = 50;
const LOGIN_MS = 30_000;
const TRY_MS = 3000;
const STREAM_MS = 60_000;

/** Makes the running primary ready to be led: roles, files, and a login by which its agent will reach it. */
export async function adoptPrimary({ spec, record, connection, say }: AdoptionSite): Promise<void> {
  say('Making the roles.');
  await ensureRoles(connection, spec.credentials);
  say('Adding settings and rules, and reloading.');
  const undo = await takeOverFiles(spec, record, { synchronousNames: { kind: 'none' }, upstream: null }, connection);
  await orElse(undo, () => requireLogin(memberEndpoint(spec)));
}

/**
 * Has the running replica stream from the primary of the cluster under its name there. The slot is made first, so that no WAL that it needs goes; when it does
 * not stream in time, its files are put back. The slot that it used before goes last.
 */
export async function adoptReplica({ config, spec, record, found, connection, say }: AdoptionSite, state: ClusterState): Promise<void> {
  const rule = state.rule!;
  const { host, port } = state.members[rule.primary]!;
  const tls = tlsOfMember(spec.settings);
  const leader: Endpoint = { host, port, user: REPLICATION_ROLE, password: spec.credentials.replication, tls };
  const slot = slotName(config.name);
  say(`Making the slot ${slot} on ${rule.primary}.`);
  await withConnection(leader, { deadlineMs: LOGIN_MS }, primary => ensureSlot(primary, slot));
  say('Adding settings and rules, and reloading.');
  const applicationName = streamName(config.name, rule.term);
  const upstream = { host, port, applicationName, slotName: slot };
  const undo = await takeOverFiles(spec, record, { synchronousNames: { kind: 'blocked' }, upstream }, connection);
  await orElse(undo, async () => {
    await requireLogin(memberEndpoint(spec));
    say(`Waiting until it streams from ${rule.primary}.`);
    await requireStream(connection, slot, rule.primary);
  });
  const former = record.formerSlot;
  if (former === null || former === slot) return;
  say(`Dropping the slot ${former} on ${rule.primary}.`);
  await withConnection(leader, { deadlineMs: LOGIN_MS }, async primary => {
    // What another server streams from by now is not ours to drop.
    const slots = await listSlots(primary, found.major);
    if (slots.some(({ name, kind, active }) => name === former && kind === 'physical' && !active)) await dropSlot(primary, former);
  });
}

/** What has begun to go wrong is undone: the server goes on as it did before. */
async function orElse(undo: () => Promise<void>, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await undo();
    throw error;
  }
}

/** Throws `adoption-failed`. */
async function requireStream(connection: Connection, slot: string, primary: string): Promise<void> {
  const streams = await pollUntil(
    async () => {
      const [rows] = await connection.query("SELECT slot_name FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'");
      return rows?.[0]?.['slot_name'] === slot ? true : null;
    },
    { intervalMs: POLL_MS, deadlineMs: STREAM_MS },
  );
  if (streams !== null) return;
  throw new UnderstudyError('adoption-failed', {
    why: `it did not stream from ${primary} within ${STREAM_MS} ms; its files were put back`,
  });
}

/** As its agent will reach it. */
function memberEndpoint({ settings, credentials }: AdoptionSite['spec']): Endpoint {
  return { host: settings.listenAddress, port: settings.port, user: credentials.superuserRole, password: credentials.superuser };
}

/** A reload takes a moment, and a replica must have replayed that the role was made. Throws `adoption-failed`. */
async function requireLogin(endpoint: Endpoint): Promise<void> {
  let why = '';
  const login = (): Promise<true | null> =>
    withConnection(endpoint, { deadlineMs: TRY_MS }, connection => connection.query('SELECT 1')).then(
      () => true as const,
      (error: Error) => {
        why = error.message;
        return null;
      },
    );
  const done = await pollUntil(login, { intervalMs: POLL_MS, deadlineMs: LOGIN_MS });
  if (done === null)
    throw new UnderstudyError('adoption-failed', { why: `${endpoint.user} cannot log in: ${why}; its files were put back` });
}

/** Debian starts it with the machine no more: it would come up beside whoever leads then. */
export async function disableDebianStart({ startFile }: AdoptionRecord): Promise<void> {
  if (startFile === null) return;
  const text = await readFile(startFile, 'utf8');
  await rewriteFile(startFile, text.replace(/^(\s*)auto\b/m, '$1disabled'));
}
