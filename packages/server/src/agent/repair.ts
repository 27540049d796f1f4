import { rename, rm, stat } from 'node:fs/promises';
import { formatLsn, type Lsn, type Operation, type SourceSpec } from '@understudy/core/cluster';
import { type Action, slotName } from '@understudy/core/failover';
import { archiveDivergedWal, clone, exists, PostgresError, rewind } from '../postgres/index.ts';
import type { PerformerContext } from './context.ts';

/** More diverged WAL than this is not thrown away by itself: a person must look. */
const ARCHIVE_LIMIT_BYTES = 4 * 1024 ** 3;
const STOP_DEADLINE_MS = 10_000;
const REWIND_DEADLINE_MS = 600_000;
/** Until a server that was rewound has streamed what was written meanwhile. */
const CATCH_UP_DEADLINE_MS = 60_000;
const CATCH_UP_NAME = 'understudy_rewound';

type Progress = (operation: Operation) => void;
type Source = Pick<Extract<Action, { kind: 'clone' }>, 'from' | 'host' | 'port'>;
type Rejoin = Extract<Action, { kind: 'rejoin' }>;

/** Takes a copy of the primary into this member. Data that is there is kept beside it until the copy is complete. */
export async function replaceByClone(context: PerformerContext, from: Source, signal: AbortSignal, onProgress: Progress): Promise<void> {
  await putAside(context);
  await takeClone(context, from, signal, onProgress);
}

/**
 * Takes a copy of the source of a standby cluster. What diverged of the data that is there is set aside first, and the data itself kept beside the copy until
 * that is complete: the source, which was seen just now, holds what counts.
 */
export async function copySource(
  context: PerformerContext,
  { host, port, source, slot, forkLsn }: Extract<Action, { kind: 'copy-source' }>,
  signal: AbortSignal,
  onProgress: Progress,
): Promise<void> {
  const { server, watcher } = context;
  const from: Source = { from: 'the source', host, port };
  const seen = watcher.observation;
  if (forkLsn !== null) {
    const endLsn = seen?.kind === 'replica' ? (seen.walEnd?.lsn ?? null) : null;
    if (server.pid !== null) await server.stop(STOP_DEADLINE_MS);
    await setAside(context, { fromLsn: forkLsn, primary: from.from }, endLsn);
    // pg_rewind reads as superuser, whose password is known where the source is asked as the members of this cluster are.
    const isAlike = source.user === null && source.tls === null && server.spec.credentials.source === undefined;
    if (isAlike && server.spec.provider.pgRewind !== null && (await tryRewind(context, from, slot, signal))) return;
  }
  await putAside(context);
  await takeClone(context, from, signal, onProgress, { source, slot });
}

/** Out of the way of a copy, which is renamed into its place when it is complete. */
async function putAside(context: PerformerContext): Promise<void> {
  const { server } = context;
  const { dataDirectory } = server.spec.paths;
  if (server.pid !== null) await server.stop(STOP_DEADLINE_MS);
  if (!(await exists(dataDirectory))) return;
  await rm(replacedDirectory(context), { recursive: true, force: true });
  await rename(dataDirectory, replacedDirectory(context));
}

async function takeClone(
  context: PerformerContext,
  source: Source,
  signal: AbortSignal,
  onProgress: Progress,
  standby: { readonly source: SourceSpec; readonly slot: string } | null = null,
): Promise<void> {
  const { server, member, say } = context;
  say('clone-started', `${member} copies ${source.from}.`);
  const { bytes, files } = await clone(server.spec, {
    source: { host: source.host, port: source.port },
    ...(standby ? { standbyOf: standby.source } : {}),
    systemId: context.systemId(),
    slotName: standby?.slot ?? slotName(member),
    onProgress: progress => onProgress({ kind: 'cloning', ...progress }),
    signal,
  }).catch(async (error: unknown) => {
    if (error instanceof PostgresError && error.code === 'disk-full') await makeRoom(context, source);
    throw error;
  });
  await rm(replacedDirectory(context), { recursive: true, force: true });
  say('clone-finished', `${member} has a verified copy of ${source.from} (${files} files).`, { bytes, files });
}

/**
 * Brings back a member whose WAL went past the fork point. What it has beyond is set aside and its range reported first; then it is
 * rewound where the provider can, else cloned anew. The old data directory is kept beside the new one until the copy is complete.
 */
export async function rejoin(context: PerformerContext, action: Rejoin, signal: AbortSignal, onProgress: Progress): Promise<void> {
  const { server } = context;
  const seen = context.watcher.observation;
  const endLsn = seen?.kind === 'replica' ? (seen.walEnd?.lsn ?? null) : null;
  const source: Source = { from: action.primary, host: action.host, port: action.port };
  if (server.pid !== null) await server.stop(STOP_DEADLINE_MS);
  await setAside(context, action, endLsn);
  if (server.spec.provider.pgRewind !== null && (await tryRewind(context, source, slotName(context.member), signal))) return;
  // A rewind that was cut off has taken it away already.
  await putAside(context);
  await takeClone(context, source, signal, onProgress);
}

async function setAside(
  { server, member, say }: PerformerContext,
  action: Pick<Rejoin, 'fromLsn' | 'primary'>,
  endLsn: Lsn | null,
): Promise<void> {
  const archive = await archiveDivergedWal(server.spec, {
    forkLsn: action.fromLsn,
    name: `fork-${formatLsn(action.fromLsn).replace('/', '-')}`,
    maxBytes: ARCHIVE_LIMIT_BYTES,
  });
  const from = formatLsn(archive.fromLsn);
  const to = formatLsn(endLsn ?? archive.toLsn);
  const lostBytes = endLsn !== null && endLsn > archive.fromLsn ? Number(endLsn - archive.fromLsn) : null;
  say('wal-archived', `${member} has WAL from ${from} to ${to} that ${action.primary} does not have; it is kept in ${archive.directory}.`, {
    from,
    to,
    bytes: lostBytes,
    timeline: archive.timeline,
  });
}

/** False when a new clone is needed. */
async function tryRewind(context: PerformerContext, source: Source, slot: string, signal: AbortSignal): Promise<boolean> {
  const { server, member, say } = context;
  try {
    const result = await rewind(server.spec, { source, timeoutMs: REWIND_DEADLINE_MS, signal });
    if (result.kind !== 'impossible') {
      if (result.kind === 'rewound') await becomeConsistent(context, source, slot, signal);
      say('rewind-finished', `${member} was rewound to where its history and that of ${source.from} part.`);
      return true;
    }
    say('decision', `${member} cannot be rewound and is cloned anew: ${result.reason.split('\n').at(-1)}`);
    return false;
  } catch (error) {
    if (!(error instanceof PostgresError) || error.code !== 'rewind-failed') throw error;
    say('decision', `The rewind of ${member} was cut off; it is cloned anew: ${error.message}`);
    return false;
  }
}

/**
 * What was rewound is a mixture of two moments until it has replayed all that the primary wrote while files were copied, and that WAL comes by the stream only:
 * started without one it would never answer. It streams under a name that acknowledges nothing; what it then is to follow is decided anew. Throws `rewind-failed`.
 */
async function becomeConsistent(
  { server, watcher, facts }: PerformerContext,
  { host, port }: Source,
  slot: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await server.start({ role: 'replica', upstream: { host, port, applicationName: CATCH_UP_NAME, slotName: slot } });
    watcher.reset();
    facts.noteServerLife();
    await server.waitUntilReady(CATCH_UP_DEADLINE_MS, signal);
  } catch (error) {
    await server.fence();
    throw new PostgresError('rewind-failed', `it did not become consistent: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * A copy did not fit beside the data that it is to replace. That was kept for comfort: the leader of the term holds all that counts, and what diverged
 * was set aside. Without it the next attempt may fit, and otherwise none ever would.
 */
async function makeRoom(context: PerformerContext, source: Source): Promise<void> {
  const replaced = replacedDirectory(context);
  const isThere = await stat(replaced).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  await rm(replaced, { recursive: true, force: true });
  context.say('decision', `There was no room for a copy of ${source.from} beside the old data of ${context.member}, which was removed.`);
}

function replacedDirectory({ server }: PerformerContext): string {
  return `${server.spec.paths.dataDirectory}.replaced`;
}

export function requireSystemId(systemId: string | null): string {
  if (systemId === null) throw new PostgresError('clone-failed', 'the cluster has no system identifier yet');
  return systemId;
}
