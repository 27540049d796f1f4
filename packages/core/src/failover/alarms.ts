import { decision } from './facts.ts';
import type { Decision } from './action.ts';

/** What only a person can decide, in words: what is the case, and what to do. */
export interface AlarmText {
  readonly sentence: string;
  readonly remedy: string;
}

export type AlarmCode =
  | 'foreign-data'
  | 'several-data-directories'
  | 'needs-accept-data-loss'
  | 'election-needs-members'
  | 'only-nofailover-holds-data'
  | 'primary-failing'
  | 'replica-failing'
  | 'primary-cannot-start'
  | 'primary-data-missing'
  | 'repair-failed'
  | 'replica-cannot-start'
  | 'primary-leaving'
  | 'writes-blocked'
  | 'source-unreachable'
  | 'source-unfit'
  | 'source-silent'
  | 'standby-leader-missing';

/** Every alarm of the failover brain. An alarm stands as long as `decide` keeps returning it. */
export const ALARMS: Readonly<Record<AlarmCode, AlarmText>> = {
  'foreign-data': {
    sentence: 'The data directory belongs to another cluster (its system identifier differs), so it is left alone.',
    remedy: 'Move it away or give this member another data directory; it is then cloned from the primary.',
  },
  'several-data-directories': {
    sentence: 'The cluster is new, and more than one member brought a data directory of its own.',
    remedy: 'Keep the one that is to become the primary and move the others away.',
  },
  'needs-accept-data-loss': {
    sentence: 'The primary is gone and no other member is known to hold every acknowledged commit.',
    remedy: 'Bring the primary back, or run `understudy failover --accept-data-loss`.',
  },
  'election-needs-members': {
    sentence: 'An election is under way, but too few members have answered to be sure that they hold every acknowledged commit.',
    remedy: 'Bring back the missing members, or run `understudy failover --accept-data-loss`.',
  },
  'only-nofailover-holds-data': {
    sentence: 'The newest data is on a member that is marked nofailover, so nobody is elected.',
    remedy: 'Clear nofailover on that member, bring back another one, or run `understudy failover --accept-data-loss`.',
  },
  'primary-failing': {
    sentence: 'The disk of the primary is full or fails, and it cannot be replaced now.',
    remedy: 'Free space on the primary, add a replica, or run `understudy switchover`.',
  },
  'replica-failing': {
    sentence: 'The disk of a replica is full or fails.',
    remedy: 'Free space on it, or remove the member.',
  },
  'primary-cannot-start': {
    sentence: 'PostgreSQL of the primary does not start, and no other member may take its place.',
    remedy: 'Read its log; bring back another member, or run `understudy failover --accept-data-loss`.',
  },
  'primary-data-missing': {
    sentence: 'The data directory of the primary is gone, and no other member may take its place.',
    remedy: 'Restore it from a backup, or run `understudy failover --accept-data-loss`.',
  },
  'repair-failed': {
    sentence: 'Repairing this replica has failed several times.',
    remedy: 'Read its log; remove the member and add it anew if it cannot be repaired. Slow retries go on.',
  },
  'replica-cannot-start': {
    sentence: 'PostgreSQL of a replica does not start, and there is no primary to repair it from.',
    remedy: 'Read its log, and bring back the primary.',
  },
  'primary-leaving': {
    sentence: 'The member that is to leave is the primary.',
    remedy: 'Run `understudy switchover` first.',
  },
  'writes-blocked': {
    sentence: 'No replica can acknowledge, so commits wait (whenAlone: block).',
    remedy: 'Bring back a replica, add one, or set whenAlone to continue.',
  },
  'source-unreachable': {
    sentence: 'This standby cluster reaches no server of its source, and serves what it has.',
    remedy:
      'If the source is lost, fence it and run `understudy promote`; else see to the network between the two. It is tried again by itself.',
  },
  'source-unfit': {
    sentence: 'A server of the source answers, but cannot be followed: why is in the event.',
    remedy: 'Correct what it names; it is tried again by itself. Nothing was touched.',
  },
  'source-silent': {
    sentence: 'The source answers, but sends the standby leader no WAL, although it still has it.',
    remedy: 'Read the log of PostgreSQL on the standby leader: what its walreceiver says there is the cause.',
  },
  'standby-leader-missing': {
    sentence: 'The standby leader is gone, and no other member may take its place: the standby cluster does not follow its source.',
    remedy: 'Bring back a member. Its data is all there.',
  },
};

/** Says that a person must decide. */
export function alarm(code: AlarmCode, inputs: Decision['inputs'] = {}): Decision {
  return decision({ kind: 'alarm', code }, `${ALARMS[code].sentence} ${ALARMS[code].remedy}`, inputs);
}
