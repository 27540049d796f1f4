import { readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Account } from './account.ts';
import { runCommand } from './command.ts';
import { formatConninfo } from './conninfo.ts';
import { type Endpoint, withConnection } from './connection.ts';
import { PostgresError } from './errors.ts';
import { exists, syncDirectory, writeFileAtomically } from './files.ts';
import { unfinishedDirectory } from './layout.ts';
import { findPostmaster } from './postmaster.ts';
import { recoverToShutdown } from './recover.ts';
import { type ServerSpec, writeReplicationSettings } from './replication.ts';
import { streamTls, tlsOfMember } from './settings.ts';
import { ISOLATED } from './settings.ts';

/** Where the caller goes on when a rewind has failed. */
type RewindResult =
  | { readonly kind: 'rewound' }
  /** The histories do not part: it can follow as it is. */
  | { readonly kind: 'not-needed' }
  /** Nothing was changed; a new clone is what remains. `reason` is pg_rewind's own. */
  | { readonly kind: 'impossible'; readonly reason: string };

interface RewindOptions {
  /** The primary to agree with, connected to as superuser. It is asked for a checkpoint first: until then its pg_control may show the old timeline. */
  readonly source: { readonly host: string; readonly port: number };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** pg_rewind takes these over from the source too; they are ours. */
const KEPT_FILES = ['postgresql.conf', 'user.conf', 'pg_hba.conf', 'pg_ident.conf', 'postgresql.auto.conf'];

/**
 * Takes a stopped server back to where its history and the source's part, with pg_rewind. A trial run comes first, so that what cannot work changes nothing; the real one
 * works in a side directory, so that a rewind that was cut off is never taken for a member: only a new clone follows it.
 * Afterwards the server starts as a replica. Throws `rewind-unavailable` (the embedded binaries lack it), `already-running`, `rewind-failed`
 * (it was cut off: the data directory is gone, clone again), and the errors of withConnection.
 */
export async function rewind(spec: ServerSpec, options: RewindOptions): Promise<RewindResult> {
  const { account, paths, provider } = spec;
  if (provider.pgRewind === null) throw new PostgresError('rewind-unavailable', `there is no pg_rewind in ${provider.binDirectory}`);
  if (await findPostmaster(paths.dataDirectory)) throw new PostgresError('already-running', `a postmaster runs in ${paths.dataDirectory}`);
  const { superuserRole: user, superuser: password } = spec.credentials;
  const endpoint: Endpoint = { ...options.source, user, password, tls: tlsOfMember(spec.settings) };
  await withConnection(endpoint, { deadlineMs: options.timeoutMs }, connection => connection.query('CHECKPOINT'));
  await recoverToShutdown(spec, options.timeoutMs);

  const trial = await runRewind(spec, provider.pgRewind, options, paths.dataDirectory, ['--dry-run']);
  if (trial.exitCode !== 0) return { kind: 'impossible', reason: trial.output };
  if (/no rewind required/.test(trial.output)) {
    await prepareReplica(spec);
    return { kind: 'not-needed' };
  }
  const kept = await readKept(paths.dataDirectory);
  const side = unfinishedDirectory(paths);
  await rename(paths.dataDirectory, side);
  await syncDirectory(dirname(side));
  const real = await runRewind(spec, provider.pgRewind, options, side, []);
  if (real.exitCode !== 0)
    throw new PostgresError('rewind-failed', 'pg_rewind was cut off: this member must be cloned anew', { detail: real.output });
  await writeKept(account, side, kept);
  await rename(side, paths.dataDirectory);
  await prepareReplica(spec);
  await syncDirectory(dirname(side));
  return { kind: 'rewound' };
}

async function runRewind(
  spec: ServerSpec,
  pgRewind: string,
  options: RewindOptions,
  directory: string,
  extra: readonly string[],
): Promise<{ exitCode: number | null; output: string }> {
  const source = formatConninfo({
    host: options.source.host,
    port: String(options.source.port),
    user: spec.credentials.superuserRole,
    dbname: 'postgres',
    connect_timeout: '5',
    ...streamTls(spec.settings.tlsDirectory),
  });
  const args = ['--target-pgdata', directory, `--source-server=${source}`, '--no-ensure-shutdown', ...extra];
  const { exitCode, stdout, stderr } = await runCommand(spec.account, pgRewind, args, {
    timeoutMs: options.timeoutMs,
    env: { PGPASSWORD: spec.credentials.superuser },
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return { exitCode, output: `${stdout}${stderr}`.trim() };
}

async function prepareReplica(spec: ServerSpec): Promise<void> {
  await writeFileAtomically(spec.account, join(spec.paths.dataDirectory, 'standby.signal'), '');
  await writeReplicationSettings(spec, ISOLATED);
}

async function readKept(directory: string): Promise<ReadonlyMap<string, string>> {
  const kept = new Map<string, string>();
  for (const name of KEPT_FILES) {
    const path = join(directory, name);
    if (await exists(path)) kept.set(name, await readFile(path, 'utf8'));
  }
  return kept;
}

async function writeKept(account: Account | null, directory: string, kept: ReadonlyMap<string, string>): Promise<void> {
  for (const [name, text] of kept) await writeFileAtomically(account, join(directory, name), text);
}
