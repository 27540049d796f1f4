import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { UrlRole } from '../api-client.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { connect } from '../target.ts';

export interface PsqlOptions extends TargetOptions {
  readonly role: UrlRole;
  readonly args: readonly string[];
}

/** Where Debian and others keep the programs of each major version. */
const VERSIONED_DIRECTORIES = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt'];

export async function run(context: CommandContext, options: PsqlOptions): Promise<ExitCode> {
  const url = new URL(await (await connect(context, options, 'psql')).connectionUrl(options.role));
  const program = findPsql(context.env);
  if (program === null) return await (await import('../psql-commands.ts')).runWithoutPsql(url.href, options.args, context.terminal);
  // Ctrl-C is psql's: it cancels a statement.
  context.takeInterrupts();
  const child = spawn(program, [...options.args], { stdio: 'inherit', env: { ...context.env, ...connectionEnvironment(url) } });
  return await new Promise<ExitCode>((resolve, reject) => {
    child.once('error', error => reject(new UnderstudyError('missing-program', { program, hint: error.message }, { cause: error })));
    // psql's own codes: 0 done, 1 fatal, 2 connection lost, 3 script failed.
    child.once('exit', code => resolve((code ?? EXIT.error) as ExitCode));
  });
}

/** In the environment, not in the arguments: those every account of the machine can read. What psql's own flags say goes before. */
function connectionEnvironment(url: URL): Readonly<Record<string, string>> {
  return {
    PGHOST: url.hostname.replaceAll(/[[\]]/g, ''),
    PGPORT: url.port || '5432',
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
  };
}

/** psql from PATH, or from where PostgreSQL is usually installed; null when there is none. */
function findPsql(env: CommandContext['env']): string | null {
  const name = process.platform === 'win32' ? 'psql.exe' : 'psql';
  const installed = VERSIONED_DIRECTORIES.filter(existsSync).flatMap(parent =>
    readdirSync(parent)
      .sort()
      .reverse()
      .map(version => join(parent, version, 'bin')),
  );
  const directories = [...(env['PATH'] ?? '').split(delimiter).filter(Boolean), ...installed];
  return directories.map(directory => join(directory, name)).find(existsSync) ?? null;
}
