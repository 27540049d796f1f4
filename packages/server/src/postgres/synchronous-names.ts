/**
 * Whose acknowledgement a commit waits for. `blocked` is what every server has that no rule has told otherwise: commits wait for a
 * member that never exists. It must never be an empty list instead, since with an empty list a commit waits for nobody: after a
 * promotion, or in the moment between a postmaster's start and its checkpointer's first look at the configuration
 * (SyncRepWaitForLSN in syncrep.c skips the wait until sync_standbys_defined is set).
 */
export type SynchronousNames =
  | { readonly kind: 'blocked' }
  /** ANY acks (names): names are application_names such as n2_t7. */
  | { readonly kind: 'quorum'; readonly acks: number; readonly names: readonly string[] }
  /** Only under a rule with acks 0. */
  | { readonly kind: 'none' };

const NOBODY = 'understudy_nobody';

const APPLICATION_NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** The value of synchronous_standby_names. Throws RangeError on a name or a number that PostgreSQL could read otherwise. */
export function renderSynchronousNames(names: SynchronousNames): string {
  switch (names.kind) {
    case 'blocked':
      return `ANY 1 (${NOBODY})`;
    case 'none':
      return '';
    case 'quorum': {
      if (!Number.isInteger(names.acks) || names.acks < 1 || names.acks > names.names.length) {
        throw new RangeError(`acks ${names.acks} with ${names.names.length} names`);
      }
      const bad = names.names.find(name => !APPLICATION_NAME.test(name));
      if (bad !== undefined) throw new RangeError(`not an application_name of ours: ${JSON.stringify(bad)}`);
      return `ANY ${names.acks} (${names.names.join(', ')})`;
    }
    default:
      return names satisfies never;
  }
}

/** The names in a value of ours, as a running server shows it; null for a value that we did not write. */
export function parseSynchronousNames(value: string): readonly string[] | null {
  if (value === '') return [];
  const list = /^ANY \d+ \(([a-z0-9_, ]+)\)$/.exec(value)?.[1];
  return list === undefined ? null : list.split(',').map(name => name.trim());
}

/** What pg_stat_replication tells of one walsender, as far as synchronous replication goes. */
export interface SenderPriority {
  readonly applicationName: string;
  readonly state: string;
  readonly syncPriority: number;
}

/**
 * Whether every walsender that could release a commit has read this value: PostgreSQL reloads each process by itself, and until a
 * walsender has done so it releases commits by the old names. A walsender shows what it has read in sync_priority.
 */
export function sendersAgree(value: string, senders: readonly SenderPriority[]): boolean {
  const names = parseSynchronousNames(value);
  if (names === null) return false;
  return senders
    .filter(sender => sender.state === 'streaming' || sender.state === 'catchup')
    .every(sender => sender.syncPriority > 0 === names.includes(sender.applicationName));
}
