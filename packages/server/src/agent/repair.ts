import { rename, rm } from 'node:fs/promises';
import { formatLsn, type Operation } from '@understudy/core/cluster';
import { type Action, slotName } from '@understudy/core/failover';
import { clone, PostgresError } from '../postgres/index.ts';
import type { PerformerContext } from './performer.ts';

type Progress = (operation: Operation) => void;

/** Takes a copy of the primary into this member, which holds no data. */
export async function takeClone(
  context: PerformerContext,
  from: Pick<Extract<Action, { kind: 'clone' }>, 'primary' | 'host' | 'port'>,
  signal: AbortSignal,
  onProgress: Progress,
): Promise<void> {
  const { server, member, say } = context;
  say('clone-started', `${member} copies ${from.primary}.`);
  const { bytes, files } = await clone(server.spec, {
    source: { host: from.host, port: from.port },
    systemId: context.systemId(),
    slotName: slotName(member),
    onProgress: progress => onProgress({ kind: 'cloning', ...progress }),
    signal,
  });
  say('clone-finished', `${member} has a verified copy of ${from.primary} (${files} files).`, { bytes, files });
}

/**
 * Brings a member whose WAL went past the fork point back: what it has beyond is set aside first, then it is rewound where the provider
 * can, else cloned anew. The old data directory is kept beside the new one until the copy is complete.
 */
export async function rejoin(
  context: PerformerContext,
  action: Extract<Action, { kind: 'rejoin' }>,
  signal: AbortSignal,
  onProgress: Progress,
): Promise<void> {
  const { server, member, say } = context;
  if (server.pid !== null) await server.stop(10_000);
  say('wal-archived', `${member} has WAL past ${formatLsn(action.fromLsn)} that ${action.primary} does not have.`, { fromLsn: formatLsn(action.fromLsn) });
  const { dataDirectory } = server.spec.paths;
  const replaced = `${dataDirectory}.replaced`;
  await rm(replaced, { recursive: true, force: true });
  await rename(dataDirectory, replaced);
  await takeClone(context, action, signal, onProgress);
  await rm(replaced, { recursive: true, force: true });
}

export function requireSystemId(systemId: string | null): string {
  if (systemId === null) throw new PostgresError('clone-failed', 'the cluster has no system identifier yet');
  return systemId;
}
