import type { PostgresSettings } from '@understudy/core/cluster';
import type { Account } from './account.ts';
import { runCommand } from './command.ts';
import type { Provider } from './provider.ts';

const TIMEOUT_MS = 10_000;

/**
 * What PostgreSQL itself says against these settings: a name that it does not know, a value that it would not start with. Null: nothing. It is asked for
 * the value of one (`postgres -C`), for which it reads all of them, and needs no data directory.
 */
export async function refusalOfSettings(provider: Provider, account: Account | null, settings: PostgresSettings): Promise<string | null> {
  const entries = Object.entries(settings);
  if (entries.length === 0) return null;
  const given = entries.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const files = ['-D', provider.binDirectory, '-c', 'config_file=/dev/null'];
  const { exitCode, stderr } = await runCommand(account, provider.postgres, ['-C', 'port', ...files, ...given], { timeoutMs: TIMEOUT_MS });
  if (exitCode === 0) return null;
  const said = [...stderr.matchAll(/(?:FATAL|HINT): {2}(.*)/g)].map(match => match[1]!);
  return said.length > 0 ? said.join(' ').replace(/\.$/, '') : stderr.trim();
}
