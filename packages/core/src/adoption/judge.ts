import { type ClusterState, formatLsn, isAncestor } from '../cluster/index.ts';
import type { AdoptionWish, FoundServer, LeaderAnswer } from './found.ts';

/** What was seen of a server that is to be adopted. `stop`: it cannot be adopted as it is; `warn`: it can, and somebody should know. */
export interface Finding {
  readonly level: 'ok' | 'note' | 'warn' | 'stop';
  readonly message: string;
  /** What to do; null: nothing. */
  readonly action: string | null;
}

export interface AdoptionInputs {
  readonly found: FoundServer;
  readonly wish: AdoptionWish;
  /** What the store holds; null: nothing. */
  readonly state: ClusterState | null;
  /** Of a replica. */
  readonly leader: LeaderAnswer | null;
}

/** Everything that a person should know before this server is adopted, the worst first. Pure. */
export function judgeAdoption(inputs: AdoptionInputs): readonly Finding[] {
  const findings = [
    ...placeInCluster(inputs),
    ...programs(inputs),
    ...otherManagers(inputs),
    ...access(inputs),
    ...replicationSettings(inputs),
    ...whatIsKept(inputs),
    ...whatChanges(inputs),
  ];
  return findings.toSorted((a, b) => RANK[a.level] - RANK[b.level]);
}

const RANK = { stop: 0, warn: 1, note: 2, ok: 3 } as const;
const stop = (message: string, action: string): Finding => ({ level: 'stop', message, action });
const warn = (message: string, action: string | null = null): Finding => ({ level: 'warn', message, action });
const note = (message: string, action: string | null = null): Finding => ({ level: 'note', message, action });
const ok = (message: string): Finding => ({ level: 'ok', message, action: null });

function placeInCluster(inputs: AdoptionInputs): readonly Finding[] {
  return inputs.found.standing.kind === 'primary' ? primaryPlace(inputs) : replicaPlace(inputs);
}

function primaryPlace({ found, wish, state }: AdoptionInputs): readonly Finding[] {
  const { systemId, standing } = found;
  const running = ok(`It is a primary on timeline ${standing.timeline}, system identifier ${systemId}.`);
  if (state === null || isOver(state)) return [running];
  const { rule } = state;
  if (rule === null) {
    const others = Object.keys(state.members).filter(id => id !== wish.member);
    if (others.length === 0 && (state.proposal === null || state.proposal.by === wish.member)) return [running];
    return [
      stop(
        `Members ${Object.keys(state.members).join(', ')} have begun to make a new cluster in this store.`,
        'Stop their services, and choose another `cluster` name in all files, or remove the keys of this one from etcd.',
      ),
    ];
  }
  if (state.systemId !== systemId) return [otherCluster(found, state)];
  if (rule.primary !== wish.member)
    return [
      stop(
        `Member ${rule.primary} leads this cluster in term ${rule.term}, and this server is a primary, too.`,
        `Two primaries are two histories. Stop the one that is not to stay; as a standby of ${rule.primary} (pg_rewind, or a new copy) it can be adopted.`,
      ),
    ];
  if (rule.timeline !== standing.timeline)
    return [
      stop(
        `The cluster knows ${wish.member} on timeline ${rule.timeline}, and it writes timeline ${standing.timeline}.`,
        'It was promoted by something else meanwhile. Find out by what, and end that.',
      ),
    ];
  return [running, ok(`The cluster knows it as its primary already (term ${rule.term}).`)];
}

function isOver(state: ClusterState): boolean {
  return state.released != null;
}

function replicaPlace({ found, wish, state, leader }: AdoptionInputs): readonly Finding[] {
  const rule = state === null || isOver(state) ? null : state.rule;
  const first = 'Adopt the primary first, on its machine, and start its service.';
  if (state === null || rule === null) return [stop('This server is a replica, and there is no cluster in the store yet.', first)];
  if (state.systemId !== found.systemId) return [otherCluster(found, state)];
  if (rule.primary === wish.member)
    return [stop(`The cluster knows ${wish.member} as its primary, and this server is a replica.`, 'Give this member another name.')];
  const asked = Math.max(state.proposal?.term ?? 0, rule.term);
  if (wish.promisedTerm > asked)
    return [
      stop(
        `${wish.member} has promised term ${wish.promisedTerm} before, and this cluster is in term ${rule.term}.`,
        'Its directory is of another cluster: choose another `data` in its file.',
      ),
    ];
  // What it has promised to take no WAL from, it is not given to follow.
  if (asked > rule.term || !rule.established)
    return [stop(`An election is under way (term ${asked}).`, 'Run the same command again when `understudy status` names a primary.')];
  if (leader === null || leader.kind === 'silent')
    return [
      stop(
        `${rule.primary} does not let its replicas in: ${leader?.why ?? 'it was not asked'}.`,
        `Start the service of ${rule.primary}, and see that port and address of it can be reached from here.`,
      ),
    ];
  return [ok(`It is a replica, system identifier ${found.systemId}.`), ...history(found, rule.primary, leader)];
}

function history(found: FoundServer, primary: string, leader: Extract<LeaderAnswer, { kind: 'answers' }>): readonly Finding[] {
  const { standing } = found;
  if (standing.kind !== 'replica') return [];
  if (leader.systemId !== found.systemId)
    return [
      stop(`${primary} has the system identifier ${leader.systemId}, this server ${found.systemId}.`, 'They are no copies of each other.'),
    ];
  const end = standing.walEnd;
  if (end === null)
    return [
      stop('Where its WAL ends is not known: it is still replaying what it has.', 'Wait until it has, and run the same command again.'),
    ];
  // The answer may be older than what was streamed since.
  const ahead = end.timeline === leader.end.timeline && end.lsn > leader.end.lsn ? { ...leader.end, lsn: end.lsn } : leader.end;
  if (!isAncestor(end, ahead))
    return [
      stop(
        `Its WAL ends at ${formatLsn(end.lsn)} on timeline ${end.timeline}, which is no part of the history of ${primary} (timeline ${leader.end.timeline}).`,
        'It cannot follow as it is. Stop it, move its data away, and start the service of this member: that takes a new copy.',
      ),
    ];
  const streaming = standing.isStreaming
    ? ok('It streams.')
    : warn(
        'It does not stream now.',
        'It will stream from the primary if that still has the WAL it needs; else the service takes a new copy.',
      );
  return [ok(`All that it holds is part of the history of ${primary}.`), streaming];
}

function otherCluster({ systemId }: FoundServer, state: ClusterState): Finding {
  return stop(
    `The store holds the cluster ${state.name} with the system identifier ${state.systemId}; this server has ${systemId}.`,
    'They are no copies of each other. Choose another `cluster` name for this one.',
  );
}

function programs({ found, wish }: AdoptionInputs): readonly Finding[] {
  const findings: Finding[] = [];
  if (found.major !== wish.programs.major)
    findings.push(
      stop(
        `It is PostgreSQL ${found.version}, and the programs in ${wish.programs.directory} are PostgreSQL ${wish.programs.version}.`,
        `Name those of PostgreSQL ${found.major}: provider: system, binDir: /usr/lib/postgresql/${found.major}/bin.`,
      ),
    );
  else findings.push(ok(`PostgreSQL ${found.version}; the programs in ${wish.programs.directory} fit.`));
  if (found.owner.uid !== wish.account.uid)
    findings.push(
      stop(
        `Its data belongs to the account ${found.owner.name}, and Understudy would run it as ${wish.account.name}.`,
        `Run Understudy as ${found.owner.name}, or as root where that account is named postgres.`,
      ),
    );
  if (!wish.canEnterDirectory)
    findings.push(
      stop(
        `The account ${wish.account.name} cannot enter ${wish.directory}, where the member keeps what its server reads.`,
        'Choose another `data` in the file, or let others pass through the directories above it (chmod o+x).',
      ),
    );
  if (!wish.programs.hasRewind)
    findings.push(
      note('These programs have no pg_rewind: a primary that comes back after a failover is copied anew.', 'Use provider: system.'),
    );
  else if (found.settings['wal_log_hints'] !== 'on' && found.settings['data_checksums'] !== 'on')
    findings.push(
      note(
        'wal_log_hints is off, and there are no checksums: until the next restart pg_rewind cannot be used, only a new copy.',
        '`understudy restart`, once all members are there.',
      ),
    );
  if (found.isMountPoint)
    findings.push(
      warn(
        `${found.dataDirectory} is a mount point: it cannot be renamed, so that neither a rewind nor a new copy of this member is possible.`,
        'Move the data one directory down at the next opportunity.',
      ),
    );
  if (found.tablespaces.length > 0)
    findings.push(
      warn(
        `There are tablespaces (${found.tablespaces.join(', ')}): Understudy takes no copy of such a cluster.`,
        'Make a replica that is lost for good by pg_basebackup, and adopt it.',
      ),
    );
  return findings;
}

function otherManagers({ found }: AdoptionInputs): readonly Finding[] {
  const findings: Finding[] = [];
  if (found.patroniSessions > 0)
    findings.push(
      stop(
        'Patroni runs this server.',
        'Pause it (`patronictl pause --wait`), then stop it on every node (`systemctl disable --now patroni`): PostgreSQL goes on. Then run the same command again.',
      ),
    );
  if (found.settings['promote_trigger_file'])
    findings.push(stop('promote_trigger_file is set: something else may promote it.', 'Set it to nothing, and reload.'));
  if (found.startsByItself !== null)
    findings.push(note(`${found.startsByItself} has Debian start it with the machine; it is set to disabled.`));
  return findings;
}

function access({ found, wish }: AdoptionInputs): readonly Finding[] {
  const findings: Finding[] = [];
  if (found.unreachable !== null)
    findings.push(
      stop(
        `It cannot be connected to at ${wish.host}:${wish.port}: ${found.unreachable}.`,
        `host and memberPort of the file are to be where it listens (listen_addresses = '${found.settings['listen_addresses']}', port = ${found.settings['port']}).`,
      ),
    );
  else if (found.settings['port'] !== String(wish.port))
    findings.push(stop(`It listens on port ${found.settings['port']}, and memberPort is ${wish.port}.`, 'Correct memberPort.'));
  if (!found.hasPostgresDatabase)
    findings.push(stop('There is no database postgres, to which members and routers connect.', '`CREATE DATABASE postgres;`'));
  const role = wish.superuserRole;
  if (found.superuser === 'another-password')
    findings.push(
      stop(
        `The role ${role} has a password of its own, which must not be changed under those who use it.`,
        'Have Understudy use a role of its own: write the files with `understudy init --superuser understudy` (or "superuserRole" in secrets.json, on all machines).',
      ),
    );
  if (found.superuser === 'not-superuser')
    findings.push(
      stop(`The role ${role} is there and no superuser.`, 'Name another one: "superuserRole" in secrets.json, on all machines.'),
    );
  for (const fault of found.fileFaults)
    findings.push(stop(`Its files hold an error: ${fault}.`, 'Correct it: PostgreSQL would not take what is added.'));
  return findings;
}

function replicationSettings({ found, wish }: AdoptionInputs): readonly Finding[] {
  const { settings, standing } = found;
  const findings: Finding[] = [];
  if (settings['wal_level'] === 'minimal')
    findings.push(stop('wal_level is minimal: nobody can stream from it.', 'Set it to replica, and restart.'));
  if (standing.kind === 'replica' && settings['hot_standby'] === 'off')
    findings.push(stop('hot_standby is off: the replica answers nobody.', 'Set it to on, and restart.'));
  if (settings['fsync'] === 'off') findings.push(warn('fsync was off: it is set to on.'));
  const senders = standing.kind === 'primary' ? standing.senders.length : 0;
  const room: readonly (readonly [string, number])[] = [
    ['max_wal_senders', senders + 4],
    ['max_replication_slots', found.slots.length + 3],
  ];
  for (const [name, needed] of room) {
    if (Number(settings[name]) < needed)
      findings.push(
        stop(`${name} is ${settings[name]}: there is no room for what Understudy needs (${needed}).`, 'Raise it, and restart.'),
      );
  }
  const delayMs = Number(settings['recovery_min_apply_delay'] ?? 0);
  if (standing.kind === 'replica' && delayMs > 0 !== wish.isDelayed)
    findings.push(
      stop(
        `Its recovery_min_apply_delay is ${delayMs} ms, and the file ${wish.isDelayed ? 'makes it a delayed replica' : 'says nothing of a delay'}.`,
        'Say the same in `applyDelayMs` of its file.',
      ),
    );
  if (wish.isDelayed && standing.kind === 'primary')
    findings.push(stop('applyDelayMs is set, and this is the primary.', 'Take it out of the file.'));
  return findings;
}

function whatIsKept({ found }: AdoptionInputs): readonly Finding[] {
  const { settings, slots, md5Roles } = found;
  const findings: Finding[] = [];
  if (md5Roles.length > 0)
    findings.push(
      warn(
        `Roles with MD5 passwords cannot log in through a router: ${named(md5Roles)}.`,
        "Set their passwords anew with password_encryption = 'scram-sha-256'; connections to the servers themselves go on as they are.",
      ),
    );
  const logical = slots.filter(slot => slot.kind === 'logical' && !slot.failover).map(slot => slot.name);
  if (logical.length > 0)
    findings.push(
      warn(
        `Logical slots stay on this server, and a failover leaves them behind: ${named(logical)}.`,
        found.major >= 17 ? 'Make them failover slots (failover = true).' : 'PostgreSQL 17 and later can keep them.',
      ),
    );
  const physical = slots.filter(slot => slot.kind === 'physical' && !slot.name.startsWith('understudy_')).map(slot => slot.name);
  if (physical.length > 0)
    findings.push(note(`Physical slots of others: ${named(physical)}. That of a replica is dropped when it is adopted; the rest stays.`));
  if (settings['archive_mode'] !== 'off') findings.push(ok('archive_mode and archive_command stay as they are.'));
  return findings;
}

function whatChanges({ found, wish }: AdoptionInputs): readonly Finding[] {
  const { settings, standing } = found;
  const findings: Finding[] = [];
  if (standing.kind === 'primary' && settings['synchronous_standby_names'])
    findings.push(
      warn(
        `synchronous_standby_names is ${settings['synchronous_standby_names']}: commits wait for nobody from now until the first replica is adopted.`,
        'Adopt the replicas soon after; `understudy status` says when writes are protected.',
      ),
    );
  if (standing.kind === 'primary' && standing.senders.length > 0)
    findings.push(
      note(
        `Replicas that stream from it: ${named(standing.senders.map(({ name, address }) => `${name} (${address || 'local'})`))}. They go on, and are to be adopted next.`,
      ),
    );
  if (settings['synchronous_commit'] !== 'on')
    findings.push(warn(`synchronous_commit was ${settings['synchronous_commit']}: it is set to on.`));
  if (settings['restore_command'] && standing.kind === 'replica')
    findings.push(note('restore_command is set to nothing: a replica takes WAL by its stream alone.'));
  if (wish.hasTls && settings['ssl'] === 'on')
    findings.push(
      warn(
        'Its certificate becomes that of machineTls, of another authority.',
        'Clients that check it (sslmode=verify-ca, verify-full) and connect to the server itself need that authority, or leave machineTls out.',
      ),
    );
  if (settings['logging_collector'] === 'on')
    findings.push(note('From its next restart on it logs to postgres.log in the directory of the member.'));
  return findings;
}

function named(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
