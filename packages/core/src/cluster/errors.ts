/** Exit codes of every command (docs/reference). */
export const EXIT = { ok: 0, error: 1, usage: 2, degraded: 3, noPrimary: 4, timedOut: 5, refused: 6 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * Every error that a user can meet: what happened (`{name}` is replaced by a detail), what to do about it, how a command
 * exits, and the SQLSTATE where it goes over the wire. docs/errors.md is made from this.
 */
export const ERRORS = {
  'port-taken': {
    message: 'Port {port} on {host} is already in use.',
    action: 'Stop what listens there, or choose another port with {flag}.',
    exit: 'error',
  },
  'bad-socket': {
    message: 'The socket that systemd passes cannot be listened on: {why}.',
    action:
      'The socket unit is to open one TCP port (one ListenStream=, Accept=no). Or stop and disable that unit: then the proxy opens its port itself.',
    exit: 'error',
  },
  'no-free-port': { message: 'No free port found from {port} to {last}.', action: 'Choose a port with --port.', exit: 'error' },
  'not-our-directory': {
    message: '{path} is not empty and holds no Understudy cluster.',
    action: 'Choose an empty or new directory with --data. Nothing in it was touched.',
    exit: 'error',
  },
  'wrong-pg-version': {
    message: '{path} holds data of PostgreSQL {found}, but the provider offers {offered}.',
    action: 'Use the provider that made it (--provider, --bin-dir), or dump and restore. Nothing was touched.',
    exit: 'error',
  },
  'state-corrupt': {
    message: 'The state file {path} cannot be read: {why}.',
    action: 'Restore it from {path}.previous or a backup. Nothing was touched; PostgreSQL data is not affected.',
    exit: 'error',
  },
  'state-newer': {
    message: 'The state of the cluster, {path}, was written by a newer Understudy (schema {found}).',
    action: 'Upgrade Understudy on this machine to that version or a later one. Nothing was touched.',
    exit: 'error',
  },
  'data-unreachable': {
    message: 'The account {account}, under which PostgreSQL runs, cannot reach {path}.',
    action: 'Choose a directory that it can enter, or run as an ordinary user.',
    exit: 'error',
  },
  'no-account': {
    message: 'PostgreSQL does not run as root, and neither the account postgres nor nobody exists.',
    action: 'Create one (adduser --system postgres), or run as an ordinary user.',
    exit: 'error',
  },
  'disk-full': {
    message: 'No space left on the disk of {path}: {free} free, {needed} needed.',
    action: 'Free some space or choose another disk with --data.',
    exit: 'error',
  },
  'no-binaries': {
    message: 'No PostgreSQL binaries for {platform}: {why}.',
    action: 'Install PostgreSQL 14 to 19 and use --provider system --bin-dir DIR.',
    exit: 'error',
  },
  'already-running': {
    message: 'A supervisor (process {pid}) already runs this cluster.',
    action: 'Use it as it is, or stop it with `understudy down`.',
    exit: 'error',
  },
  'not-running': { message: 'No cluster runs in {path}.', action: 'Start it with `understudy up`.', exit: 'noPrimary' },
  'no-cluster': {
    message: 'There is no cluster in {path}.',
    action: 'Create one with `understudy up`, or name its directory with --data.',
    exit: 'error',
  },
  'bad-option': { message: '{option}: {why}.', action: 'See `understudy {command} --help`.', exit: 'usage' },
  'bad-usage': { message: '{why}.', action: 'See `{help}`.', exit: 'usage' },
  'unknown-key': {
    message: 'Unknown setting {key} in {path}.{hint}',
    action: 'Correct or remove it. Nothing was started.',
    exit: 'usage',
  },
  'bad-config': { message: 'The configuration {path} is not valid: {why}.', action: 'Correct it. Nothing was started.', exit: 'usage' },
  'bad-certificate': {
    message: 'The certificate {path} cannot be used: {why}.',
    action: 'Name a certificate and its private key in PEM with --tls-cert and --tls-key, or neither to have one generated.',
    exit: 'error',
  },
  'unknown-member': { message: 'There is no member {id}.', action: 'Members are: {members}.', exit: 'usage' },
  'no-such-chapter': { message: 'The tour has no chapter {id}.', action: 'Chapters are: {chapters}.', exit: 'usage' },
  'too-many-members': { message: 'A cluster has at most {limit} members.', action: 'Remove one first.', exit: 'refused' },
  'member-elsewhere': {
    message: 'Members of this cluster run on machines of their own.',
    action: 'Run `understudy member --config FILE` on another machine: it joins by itself.',
    exit: 'refused',
  },
  'remove-primary': { message: '{id} is the primary.', action: 'Switch over first: `understudy switchover`.', exit: 'refused' },
  'intent-pending': {
    message: 'A {kind} is already under way.',
    action: 'Wait for it, see `understudy events --follow`.',
    exit: 'refused',
  },
  'cluster-paused': {
    message: 'The cluster is paused: no automatic action is taken.',
    action: '`understudy resume` first.',
    exit: 'refused',
  },
  'intent-refused': { message: '{why}', action: 'Nothing was touched. See `understudy status`.', exit: 'refused' },
  'standby-cluster': {
    message: 'This is a standby cluster of {source}: it has no primary, so there is no {what}.',
    action: '`understudy promote` makes it a cluster of its own. Nothing was touched.',
    exit: 'refused',
    sqlState: '25006',
  },
  'promotion-refused': { message: 'Not promoted: {why}.', action: '{remedy}', exit: 'refused' },
  'demotion-refused': { message: 'Not made a standby: {why}.', action: 'Nothing was touched. See `understudy status`.', exit: 'refused' },
  'not-a-standby': {
    message: 'The cluster in {path} takes writes itself: --standby-of is for a new one.',
    action: '`understudy demote` makes it a standby. Nothing was touched.',
    exit: 'refused',
  },
  'source-unusable': {
    message: 'No server of the source can be followed: {why}.',
    action: 'Correct the connection string, the password, or what it says. Nothing was touched.',
    exit: 'error',
  },
  'restart-refused': {
    message: '{why}',
    action: 'See `understudy status`. When that is settled, run the same command again: it goes on where it stopped.',
    exit: 'refused',
  },
  'move-refused': {
    message: '{why}',
    action: 'See `understudy status`. When that is settled, run the same command again: it goes on where it stopped.',
    exit: 'refused',
  },
  'no-other-machine': {
    message: 'All members of this cluster run on this machine, so there is no other to move {id} to.',
    action:
      'A cluster on several machines begins with `understudy init`, see docs/operating/three-machines.md. For another disk: `understudy replica add`, then `understudy replica remove {id}`.',
    exit: 'refused',
  },
  'release-refused': {
    message: 'The cluster cannot be released: {why}.',
    action: 'Nothing was touched. See `understudy status`, and run the same command again when that is settled.',
    exit: 'refused',
  },
  'release-here': {
    message: 'This cluster is one of `understudy up`, on one machine.',
    action: 'Take its data with `understudy backup create` or pg_dump. Clusters of `understudy member` services can be released.',
    exit: 'refused',
  },
  'cluster-released': {
    message: 'The cluster {cluster} was released: its servers go on without Understudy.',
    action: 'Nothing was touched. `understudy adopt` takes them over again; to make a new cluster, choose another `cluster` name.',
    exit: 'refused',
  },
  'different-major': {
    message: '{member} runs PostgreSQL {running}, and PostgreSQL {installed} is installed there.',
    action:
      'A minor version only needs a restart; data of one major version is of no use to another. Put the programs of PostgreSQL {running} back, or make a new cluster and move the data (pg_dumpall, or logical replication).',
    exit: 'refused',
  },
  'would-lose-data': {
    message: 'No member is known to hold every acknowledged write: {why}.',
    action: 'Bring back {missing}, or accept the loss: `understudy failover --accept-data-loss`.',
    exit: 'refused',
  },
  'timed-out': {
    message: '{what} did not happen within {limitMs} ms.',
    action: 'See `understudy events` and `understudy status`.',
    exit: 'timedOut',
  },
  'no-such-role': { message: 'No running {role}: {why}', action: 'See `understudy status`.', exit: 'noPrimary' },
  'no-primary': { message: 'There is no primary: {why}.', action: 'See `understudy events`.', exit: 'noPrimary', sqlState: '57P03' },
  'api-unreachable': {
    message: 'No answer from {url}: {why}.',
    action: 'Is the cluster running? See `understudy up`.',
    exit: 'noPrimary',
  },
  'api-untrusted': {
    message: 'The certificate of {url} is not trusted: {why}.',
    action: 'Name the authority of its cluster with --ca FILE or in UNDERSTUDY_CA: the `ca.crt` that `understudy init` wrote.',
    exit: 'error',
  },
  'api-refused': {
    message: 'The server refused: {why}.',
    action: 'Operations need the token of the data directory; pass --data or set UNDERSTUDY_TOKEN.',
    exit: 'error',
  },
  'bad-token': {
    message: 'The token is missing or wrong.',
    action: 'Send the token of the data directory: `Authorization: Bearer TOKEN`; commands find it by --data or in UNDERSTUDY_TOKEN.',
    exit: 'error',
  },
  'bad-request': { message: 'The request is not valid: {why}.', action: 'See /openapi.json.', exit: 'usage' },
  'no-such-path': { message: 'There is nothing at {path}.', action: 'See /openapi.json.', exit: 'usage' },
  'cross-site': {
    message: 'A request from another web site is refused ({why}).',
    action: 'Use the page at the address that `understudy status` names.',
    exit: 'refused',
  },
  'internal-error': {
    message: 'Something went wrong inside Understudy: {why}.',
    action: 'This is a defect: please report it with the log of the data directory.',
    exit: 'error',
  },
  'supervisor-failed': { message: 'The supervisor ended before the cluster was healthy: {why}.', action: 'See {log}.', exit: 'error' },
  'foreign-data': {
    message: '{path} belongs to another cluster (system identifier {found}, ours is {ours}).',
    action: 'It is left alone. Move it away to let the member be cloned anew.',
    exit: 'error',
  },
  'missing-program': { message: '{program} was not found.', action: '{hint}', exit: 'error' },
  'backup-failed': { message: 'The backup failed: {why}.', action: 'See `understudy status`. Nothing was left behind.', exit: 'error' },
  'backup-exists': { message: '{path} exists already.', action: 'Choose another place with --into.', exit: 'error' },
  'bad-backup': {
    message: '{path} is no complete backup: {why}.',
    action: 'Use another one, or take a new one with `understudy backup create`.',
    exit: 'error',
  },
  'backup-version': {
    message: 'The backup does not fit: {why}.',
    action: 'Use the provider that made it (--provider, --bin-dir).',
    exit: 'error',
  },
  'restore-into-existing': {
    message: '{path} holds a cluster already.',
    action: 'A backup becomes a new cluster: choose a new directory with --data. Nothing was touched.',
    exit: 'refused',
  },
  'not-confirmed': { message: '{what} was not confirmed.', action: 'Nothing was done. Say yes, or pass --yes.', exit: 'refused' },
  'needs-yes': { message: '{what} deletes all data in {path}.', action: 'Say --yes if you mean it.', exit: 'usage' },
  'adoption-refused': {
    message: 'The server cannot be adopted: {why}.',
    action: 'Nothing was touched. `understudy adopt --dry-run` says all that is in the way; see docs/operating/adopting.md.',
    exit: 'refused',
  },
  'adoption-login': {
    message: 'The role {role} cannot log in at {host}: {why}.',
    action:
      'Nothing was touched. Let it in by the Unix socket (`local all postgres peer` in pg_hba.conf), or name another superuser with --db-user and its password in PGPASSWORD.',
    exit: 'error',
  },
  'adoption-failed': {
    message: 'The adoption did not come to its end: {why}.',
    action: 'When that is settled, run the same command again: it goes on where it stopped.',
    exit: 'error',
  },
  'store-unreachable': {
    message: 'The store does not answer: {why}.',
    action: 'Is etcd running, and are `etcd` and its certificates in the file right?',
    exit: 'error',
  },
  'router-refused': {
    message: 'The servers do not let the role {role} in: {why}.',
    action:
      'Say its password in UNDERSTUDY_ROUTER_PASSWORD, or another role with --router-user. `understudy proxy --setup-sql` prints what makes the role.',
    exit: 'error',
  },
  'no-user-secrets': {
    message: 'The role {role} may not look up the secrets of those who will log in.',
    action: 'Run what `understudy proxy --setup-sql` prints on the primary, or list the roles in a file and name it with --users.',
    exit: 'error',
  },
  'different-clusters': {
    message: 'The servers belong to different clusters: {servers}.',
    action: 'Name a primary and replicas of it, and nothing else. Their system identifiers (pg_control_system()) must be the same.',
    exit: 'error',
  },
  'server-too-old': {
    message: '{server} is PostgreSQL {version}.',
    action: 'Replicas can be read through the proxy from PostgreSQL 14 on.',
    exit: 'error',
  },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** An error from the catalogue, with its details filled in. */
export class UnderstudyError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(code: ErrorCode, details: Readonly<Record<string, string | number>> = {}, options?: ErrorOptions) {
    super(fill(ERRORS[code].message, details), options);
    this.name = 'UnderstudyError';
    this.code = code;
    this.details = details;
  }

  /** What the user can do about it. */
  get action(): string {
    return fill(ERRORS[this.code].action, this.details);
  }

  get exit(): ExitCode {
    return EXIT[ERRORS[this.code].exit];
  }
}

function fill(template: string, details: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in details ? String(details[name]) : whole));
}
