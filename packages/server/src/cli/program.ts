import {
  CONSISTENCY_LEVELS,
  didYouMean,
  type ExitCode,
  REPLICAS_MAX,
  REPLICAS_MIN,
  TLS_MODES,
  UnderstudyError,
} from '@understudy/core/cluster';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { CommandContext, TargetOptions } from './context.ts';

/** Tells the caller how the command that was run wants to exit. */
export type OnExit = (code: ExitCode) => void;

/** A command's module; loaded when the command is run, so that `--help` and quick commands start quickly. */
type Load<O> = () => Promise<{ readonly run: (context: CommandContext, options: O) => Promise<ExitCode> }>;

/** All commands of DESIGN.md's list, with their flags. Also the source of the reference and of shell completion. */
export function createProgram(context: CommandContext, onExit: OnExit, version: string): Command {
  const program = new Command('understudy')
    .description(
      'Primary–replica PostgreSQL in one command: one primary, replicas that carry the reads, one address, failover under a second.',
    )
    .version(version)
    .enablePositionalOptions(false)
    .helpCommand(true);
  const define = <O extends TargetOptions>(parent: Command, name: string, description: string, load: Load<O>): Command =>
    withTarget(parent.command(name).description(description)).action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command;
      onExit(await (await load()).run(context, { ...command.opts(), ...operands(command) } as unknown as O));
    });
  addLifecycle(program, define);
  addLooking(program, define);
  addOperations(program, define);
  addMachines(program, define);
  addBackups(program, define);
  addHelpers(program, define);
  return program;
}

/** Every operation has it. */
const DRY_RUN = ['--dry-run', 'say what would happen, and do nothing'] as const;

type Define = <O extends TargetOptions>(parent: Command, name: string, description: string, load: Load<O>) => Command;

/** Arguments by their names, as if they were flags. */
function operands(command: Command): Record<string, unknown> {
  return Object.fromEntries(command.registeredArguments.map((argument, i) => [argument.name(), command.processedArgs[i]]));
}

function withTarget(command: Command): Command {
  return command
    .option('--data <dir>', 'directory of the cluster (default: ./understudy-data)')
    .option('--url <url>', 'HTTP API of a cluster elsewhere, e.g. https://10.0.0.1:8008; operations need UNDERSTUDY_TOKEN')
    .option('--ca <file>', 'authority, in PEM, of the certificate that the API at --url shows (default: UNDERSTUDY_CA)')
    .option('--json', 'machine-readable output on stdout; errors as one JSON line on stderr');
}

function addLifecycle(program: Command, define: Define): void {
  const up = define(program, 'up', 'Create the cluster, or resume the one that is there.', () => import('./commands/up.ts'))
    .option('--port <port>', 'port of the router (default: 5432, or the next free one)')
    .option('--http-port <port>', 'port of the HTTP API and the dashboard (default: 8008, or the next free one)')
    .option('--host <address>', 'address on which the router listens (default: 127.0.0.1)')
    .option('--http-host <address>', 'address on which the HTTP API listens (default: 127.0.0.1)')
    .option('--replicas <count>', `how many replicas, ${REPLICAS_MIN} to ${REPLICAS_MAX} (default: 2)`)
    .option('--durability <mode>', 'quorum or async (default: quorum)')
    .option('--consistency <level>', `${CONSISTENCY_LEVELS.join(', ')} (default: strong)`)
    .option('--provider <name>', 'embedded or system (default: embedded)')
    .option('--bin-dir <dir>', 'directory of the PostgreSQL programs, for the provider system')
    .option('--tls-mode <mode>', `${TLS_MODES.join(', ')} (default: auto, TLS where clients come from other machines)`)
    .option('--tls-cert <file>', 'certificate of the router in PEM (default: one of a generated authority)')
    .option('--tls-key <file>', 'its private key in PEM')
    .option('--tls-client-ca <file>', 'authorities in PEM whose certificates clients must show')
    .option('--config <file>', 'configuration file (default: understudy.yaml, if there is one)')
    .option('--standby-of <conninfo>', 'a new cluster follows that one and takes no writes, e.g. "host=10.1.0.1,10.1.0.2 port=5433"')
    .option('--standby-secrets <file>', '`secrets.json` of that cluster, whose roles the copy has')
    .option('--standby-password-file <file>', 'password of the role that streams from there (default: that of its replication role)')
    .option('--from-backup <dir>', 'a new cluster begins with this backup (see `understudy backup`)')
    .option('--detach', 'return when the cluster is healthy, and leave it running')
    .addOption(new Option('--background').hideHelp());
  hideUrl(up);
  hideUrl(define(program, 'down', 'Stop the cluster cleanly.', () => import('./commands/down.ts')).option(...DRY_RUN));
  hideUrl(
    define(program, 'destroy', 'Stop the cluster and delete all of its data.', () => import('./commands/destroy.ts'))
      .option('--yes', 'really delete')
      .option(...DRY_RUN),
  );
}

/** These work on a directory of this machine only. */
function hideUrl(command: Command): void {
  for (const option of command.options) if (isRemote(option)) option.hidden = true;
}

function isRemote({ long }: Option): boolean {
  return long === '--url' || long === '--ca';
}

function addLooking(program: Command, define: Define): void {
  define(
    program,
    'status',
    'Show the cluster. Exits with 0 healthy, 3 degraded, 4 no primary.',
    () => import('./commands/status.ts'),
  ).option('--watch', 'draw it anew every second until Ctrl-C');
  define(program, 'url', 'Print where to connect, with the password.', () => import('./commands/url.ts')).addOption(
    new Option('--role <role>', 'who to connect to').choices(['router', 'primary', 'replica']).default('router'),
  );
  define(program, 'psql', 'Open psql on the router; what follows -- goes to psql.', () => import('./commands/psql.ts'))
    .addOption(new Option('--role <role>', 'who to connect to').choices(['router', 'primary', 'replica']).default('router'))
    .argument('[args...]', "psql's own arguments")
    .allowUnknownOption();
  define(program, 'events', 'Show what has happened, oldest first.', () => import('./commands/events.ts'))
    .option('--follow', 'go on as it happens, until Ctrl-C')
    .option('--limit <count>', 'at most so many, the newest', wholeNumber(1, 2000), 50);
  define(program, 'explain', 'Say where a statement would run, and why.', () => import('./commands/explain.ts'))
    .argument('<sql>', 'the statement')
    .option('--database <name>', 'where its functions are looked up (default: postgres)');
}

function addOperations(program: Command, define: Define): void {
  const yes = 'do not ask';
  const replica = program.command('replica').description('Add or remove a replica.');
  define(replica, 'add', 'Add a replica: a copy of the primary is taken while it works.', () => import('./commands/replica-add.ts'))
    .option('--follows <id>', 'a cascading replica: it streams from this member instead of the primary')
    .option('--delay <time>', 'a delayed replica: it shows each change so much later, e.g. 1h')
    .option(...DRY_RUN);
  define(replica, 'remove', 'Remove a replica and its data.', () => import('./commands/replica-remove.ts'))
    .argument('<id>', 'the member, e.g. n3')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'switchover',
    'Make another member the primary, without an error for any client.',
    () => import('./commands/switchover.ts'),
  )
    .option('--to <id>', 'the member that shall lead (default: the best replica)')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(program, 'failover', 'Promote a replica now, without the help of the primary.', () => import('./commands/failover.ts'))
    .option('--to <id>', 'the member that shall lead (default: the most advanced)')
    .option('--accept-data-loss', 'also when acknowledged writes would be lost')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'restart',
    'Restart servers one after the other, the primary last by a switchover: those with settings that wait for it, all, or one.',
    () => import('./commands/restart.ts'),
  )
    .argument('[member]', 'only this one, e.g. n2')
    .option('--all', 'every server')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'upgrade',
    'Restart the servers that run another minor version of PostgreSQL than is installed now, in the same way.',
    () => import('./commands/upgrade.ts'),
  )
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'move',
    'Move a member to another machine: one that was started there takes its place, then it is removed.',
    () => import('./commands/move.ts'),
  )
    .argument('<from>', 'the member that goes, e.g. n3')
    .argument('<to>', 'the member on the other machine, e.g. n4')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'release',
    'Let the servers go on without Understudy, as a plain primary and plain replicas: no restart.',
    () => import('./commands/release.ts'),
  )
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'promote',
    'Make a standby cluster take writes: when its source was shut down cleanly, and nothing of it is missing.',
    () => import('./commands/promote.ts'),
  )
    .option('--accept-data-loss', 'also when the source is lost, and what it wrote last may be missing')
    .option('--split', 'also while the source takes writes: two clusters that differ from then on')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(
    program,
    'demote',
    'Make the cluster the standby of another one: its primary shuts down cleanly, and follows.',
    () => import('./commands/demote.ts'),
  )
    .option('--standby-of <conninfo>', 'where that one is, e.g. "host=10.1.0.1,10.1.0.2 port=5433"')
    .option('--yes', yes)
    .option(...DRY_RUN);
  define(program, 'pause', 'Take no automatic action from now on.', () => import('./commands/pause.ts')).option(...DRY_RUN);
  define(program, 'resume', 'Take automatic actions again.', () => import('./commands/resume.ts')).option(...DRY_RUN);
}

/** For clusters on several machines. */
function addMachines(program: Command, define: Define): void {
  const service = (name: 'member' | 'proxy', description: string, load: Load<TargetOptions>): Command => {
    const command = define(program, name, description, load).option(
      '--config <file>',
      'its configuration file; see `understudy config example`',
    );
    for (const option of command.options) if (option.long !== '--config') option.hidden = true;
    return command;
  };
  service(
    'member',
    'Run one member of a cluster on several machines: an agent with its PostgreSQL, and the API.',
    () => import('./commands/member.ts'),
  );
  service(
    'proxy',
    'Run one proxy: of a cluster on several machines, or in front of PostgreSQL servers that Understudy did not start.',
    () => import('./commands/proxy.ts'),
  )
    .option('--servers <addresses>', 'comma-separated addresses of a primary and its replicas; which is which is asked of them')
    .option('--patroni <addresses>', 'or of the REST API of a Patroni cluster, which names its members')
    .option(
      '--router-user <role>',
      'role with which the proxy asks the servers (default: understudy_router); UNDERSTUDY_ROUTER_PASSWORD has its password',
    )
    .option('--router-database <name>', 'database to which it connects for that (default: postgres)')
    .option('--users <file>', 'roles that may log in, a line each: "role" "password" (default: as the servers have them)')
    .option('--port <port>', 'port to listen on (default: 5432, or the next free one)')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--consistency <level>', `${CONSISTENCY_LEVELS.join(', ')} (default: strong)`)
    .option('--tls-mode <mode>', `${TLS_MODES.join(', ')} (default: auto, TLS where clients come from other machines)`)
    .option('--tls-cert <file>', 'certificate of the proxy in PEM')
    .option('--tls-key <file>', 'its private key in PEM')
    .option('--tls-client-ca <file>', 'authorities in PEM whose certificates clients must show')
    .option('--setup-sql', 'print the SQL that makes the role, and the function that looks up secrets, and do nothing');
  const adopt = define(
    program,
    'adopt',
    'Take over a running PostgreSQL server that Understudy did not start as the member of a file: no restart, no copy.',
    () => import('./commands/adopt.ts'),
  )
    .option('--config <file>', "the member's configuration file")
    .option('--pgdata <dir>', 'data directory of the running server')
    .option('--db-user <role>', 'a superuser of it (default: postgres), who logs in by the Unix socket, or by the password in PGPASSWORD')
    .option('--dry-run', 'say what would be done and what is in the way, and do nothing');
  hideTarget(adopt);
  const init = define(
    program,
    'init',
    'Write what each machine of a cluster on several machines needs: configuration, certificates, secrets.',
    () => import('./commands/init.ts'),
  )
    .option('--machines <addresses>', 'comma-separated addresses of machines that each run etcd, a member and a proxy')
    .option('--etcd <addresses>', 'addresses of the nodes of etcd (default: the machines)')
    .option('--members <addresses>', 'addresses of the members (default: the machines)')
    .option('--proxies <addresses>', 'addresses of the proxies (default: the machines)')
    .option('--cluster <name>', 'name of the cluster', 'main')
    .option('--out <dir>', 'directory to write into', './understudy-machines')
    .option('--data-dir <dir>', 'where data goes on each machine', '/var/lib/understudy')
    .option('--provider <name>', 'where PostgreSQL comes from: embedded or system', 'embedded')
    .option('--superuser <role>', "the cluster's own superuser; one of its own leaves an adopted cluster's postgres alone", 'postgres')
    .option('--renew', 'keep the authority and the secrets, and issue new certificates');
  hideTarget(init);
  const config = program.command('config').description('Print configuration files.');
  define(config, 'example', 'Print a commented configuration file.', () => import('./commands/config-example.ts')).addOption(
    new Option('--kind <kind>', 'for what').choices(['up', 'member', 'proxy']).default('up'),
  );
}

function addBackups(program: Command, define: Define): void {
  const backup = program.command('backup').description('Take, list and verify base backups; `up --from-backup` makes a cluster of one.');
  const into = ['--into <dir>', 'directory that holds the backups (default: ./understudy-backups)'] as const;
  define(
    backup,
    'create',
    'Copy the primary with the WAL that the copy needs, while it works, and check every file.',
    () => import('./commands/backup-create.ts'),
  )
    .option(...into)
    .option(...DRY_RUN);
  define(backup, 'list', 'Show the backups, oldest first.', () => import('./commands/backup-list.ts')).option(...into);
  define(
    backup,
    'verify',
    'Read a backup again and compare every file with its manifest.',
    () => import('./commands/backup-verify.ts'),
  ).argument('<backup>', 'directory of the backup');
  for (const command of backup.commands) if (command.name() !== 'create') hideTarget(command);
}

/** These work on files only. */
function hideTarget(command: Command): void {
  for (const option of command.options) if (isRemote(option) || option.long === '--data') option.hidden = true;
}

function addHelpers(program: Command, define: Define): void {
  define(
    program,
    'demo',
    'A guided tour on the running cluster: a small blog, and chapters that show each idea.',
    () => import('./commands/demo.ts'),
  )
    .option('--chapter <id...>', 'only these chapters')
    .option('--yes', 'play without asking; the primary is killed on the way');
  define(
    program,
    'report',
    'Write what somebody who helps needs to see into one file, without secrets.',
    () => import('./commands/report.ts'),
  ).option('--to <file>', 'the file (default: ./understudy-report-TIME.json)');
  define(
    program,
    'doctor',
    'Check this machine: what would keep a cluster from running, and what to do.',
    () => import('./commands/doctor.ts'),
  );
  program
    .command('completion')
    .description('Print a script that completes commands and flags.')
    .addOption(new Option('--json').hideHelp())
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const { SHELLS, completionScript } = await import('./commands/completion.ts');
      const known = SHELLS.find((name: string) => name === shell);
      if (!known) {
        throw new UnderstudyError('bad-usage', {
          why: `${shell} is none of ${SHELLS.join(', ')}.${didYouMean(shell, SHELLS)}`,
          help: 'understudy completion --help',
        });
      }
      program.configureOutput().writeOut?.(completionScript(known, program));
    });
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}
