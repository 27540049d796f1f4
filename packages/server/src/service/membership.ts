import { type ClusterState, type MemberSpec, REPLICAS_MAX, type SourceSpec, UnderstudyError } from '@understudy/core/cluster';
import { newMember } from '../supervisor/members.ts';
import type { EtcdStore } from '../store/etcd/store.ts';
import { EtcdError } from '../store/etcd/gateway.ts';
import { pause } from './pause.ts';
import type { ServiceSettings } from './settings.ts';

const RETRY_MS = 200;

/** A member as its file says it. */
export function specOf({
  name,
  settings,
  priority,
  nofailover,
  nosync,
  applyDelayMs,
  follows,
  zone,
  readWeight,
}: ServiceSettings): MemberSpec {
  return { ...newMember(name, settings.host, settings.memberPort), priority, nofailover, nosync, applyDelayMs, follows, zone, readWeight };
}

/** The state with this member in it, as its file says it; the same state when it says nothing new. Throws `too-many-members`. Pure. */
export function joined(state: ClusterState, spec: MemberSpec): ClusterState {
  const known = state.members[spec.id];
  // With what a later release has noted of it.
  const next = { ...known, ...spec, lifecycle: known?.lifecycle ?? spec.lifecycle };
  if (known && JSON.stringify(known) === JSON.stringify(next)) return state;
  if (!known && Object.keys(state.members).length > REPLICAS_MAX)
    throw new UnderstudyError('too-many-members', { limit: REPLICAS_MAX + 1 });
  return { ...state, members: { ...state.members, [spec.id]: next } };
}

/** The state in which a standby cluster has this source, as a member's file says it; no other cluster is changed by it. Pure. */
export function following(state: ClusterState, source: SourceSpec | null): ClusterState {
  const { standby } = state;
  if (!standby || source === null || JSON.stringify(standby.source) === JSON.stringify(source)) return state;
  return { ...state, standby: { ...standby, source } };
}

/** Puts this machine's member on the list, or its new address; waits for the store. Returns the reason for the log, or null when nothing had to change. */
export async function join(
  store: EtcdStore,
  spec: MemberSpec,
  source: SourceSpec | null,
  stop: AbortSignal,
): Promise<{ readonly before: ClusterState; readonly after: ClusterState } | null> {
  while (!stop.aborted) {
    try {
      const { revision, state } = await store.read();
      const next = following(joined(state, spec), source);
      if (next === state) return null;
      if ((await store.change(revision, next)).kind === 'done') return { before: state, after: next };
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      await pause(RETRY_MS, stop);
    }
  }
  return null;
}
