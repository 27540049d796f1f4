import { standbySlotName, sourceText, UnderstudyError } from '@understudy/core/cluster';
import { demotedState } from '@understudy/core/failover';
import { EmbeddedStore } from '../store/embedded.ts';
import { inspectDirectory } from './directory.ts';
import { EventLog } from './event-log.ts';
import { lockDirectory } from './lock.ts';
import { clusterPaths } from './paths.ts';
import { readSecrets } from './secrets.ts';
import { demotionRefusal } from './standby-operations.ts';
import { examineSource, sourceOf } from './standby-source.ts';

/**
 * Makes a cluster that does not run a standby of the source, in its files: what was its primary never takes a write again under its old term. The source must
 * answer, as for one that runs. Returns what was done, in words. Throws `demotion-refused`, `source-unusable`, `already-running`, `no-cluster`.
 */
export async function demoteDirectory(directory: string, standbyOf: string): Promise<string> {
  const source = sourceOf(standbyOf);
  const paths = clusterPaths(directory);
  const content = inspectDirectory(paths);
  if (content.kind === 'new') throw new UnderstudyError('no-cluster', { path: directory });
  const lock = lockDirectory(paths.lock);
  try {
    const store = EmbeddedStore.open(paths.state);
    const { revision, state } = store.current;
    const why = demotionRefusal(state, source);
    if (why !== null) throw new UnderstudyError('demotion-refused', { why });
    const password = readSecrets(paths.secrets).replication;
    const needs = { systemId: state.systemId, major: content.marker.major, limits: null, slot: standbySlotName(state.name) };
    await examineSource(source, { password, tls: null, needs });
    const next = demotedState(state, source, Date.now());
    await store.change(revision, next);
    const message = `The cluster in ${directory} is a standby of ${sourceText(source)} now.`;
    new EventLog(paths.events).appendChange(state, next, message);
    await store.close();
    return `${message} Start it with \`understudy up\`.`;
  } finally {
    lock.release();
  }
}
