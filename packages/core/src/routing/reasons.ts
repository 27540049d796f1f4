/** Why a statement went where it went. A closed list, told by SHOW understudy.last_route, metrics and `understudy explain`. */
export type RouteReason =
  | 'write'
  | 'asked-for-primary'
  | 'fresh-replica'
  | 'shared-read'
  | 'last-resort'
  | 'no-replica'
  | 'replicas-stale'
  | 'floor-unknown'
  | 'primary-unconfirmed'
  | 'primary-draining'
  | 'primary-absent'
  | 'standby-cluster'
  | 'standby-level';

const SENTENCES: Readonly<Record<RouteReason, string>> = {
  write: 'needs the primary',
  'asked-for-primary': 'a read that the application asked to have on the primary',
  'fresh-replica': 'a read, on a replica that is fresh enough and expected to answer soonest',
  'shared-read': 'a read, on the primary as one among the replicas (readsOnPrimary: share)',
  'last-resort': 'a read, on a replica that was set aside for its failures, as there is no other',
  'no-replica': 'a read for which there is no replica that may serve: none runs, or all are ejected, paused, lagging or silent',
  'replicas-stale': 'a read for which no replica has replayed enough yet',
  'floor-unknown': 'a read that must see a commit whose place in the WAL is being asked for',
  'primary-unconfirmed': 'waits until the new primary is confirmed by its replicas',
  'primary-draining': 'waits for the switchover to end',
  'primary-absent': 'waits for a primary to be elected',
  'standby-cluster': 'needs a primary, and this is a standby cluster: its source has it',
  'standby-level': 'a read that must see the newest commits, and these are made in another cluster: this one is its standby',
};

export function describeRoute(reason: RouteReason): string {
  return SENTENCES[reason];
}
