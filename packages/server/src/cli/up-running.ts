import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { LoadedSettings } from '../settings/load.ts';
import type { RuntimeInfo } from '../supervisor/runtime-file.ts';
import { ApiClient } from './api-client.ts';
import type { CommandContext } from './context.ts';
import { exitOfVerdict } from './status-view.ts';
import { apiUrl, localCluster } from './target.ts';
import { printReached, reachedBy } from './up-result.ts';
import type { UpOptions } from './up-settings.ts';
import { poll } from './waiting.ts';

/** A supervisor that has just been started by somebody else gets this long to listen. */
const LISTEN_LIMIT_MS = 120_000;
const HEALTHY_LIMIT_MS = 120_000;
const ADD_REPLICA_LIMIT_MS = 3_600_000;

/** `up` on a cluster that runs: adds the replicas that are asked for and missing, and tells the status; with --detach when it is healthy. */
export async function joinRunning(
  directory: string,
  loaded: LoadedSettings,
  context: CommandContext,
  options: UpOptions,
): Promise<ExitCode> {
  const runtime = await poll(() => localCluster(directory).runtime, LISTEN_LIMIT_MS, 100);
  if (!runtime) throw new UnderstudyError('timed-out', { what: `An answer of the supervisor of ${directory}`, limitMs: LISTEN_LIMIT_MS });
  const client = new ApiClient(apiUrl(runtime), runtime.token);
  context.terminal.err(`This cluster runs already (supervisor ${runtime.pid}).\n`);
  warnOfOtherPorts(loaded, runtime, context);
  if (loaded.sources.get('replicas') === 'flag') await completeReplicas(client, loaded.settings.replicas, context);
  if (options.detach) await poll(async () => ((await client.status()).verdict === 'healthy' ? true : null), HEALTHY_LIMIT_MS, 100);
  const reached = await reachedBy(client, runtime.token, 'detached');
  printReached(reached, context, options.json ?? false);
  return options.detach ? exitOfVerdict(reached.status.verdict) : EXIT.ok;
}

function warnOfOtherPorts({ settings, sources }: LoadedSettings, runtime: RuntimeInfo, context: CommandContext): void {
  const differs = (key: 'port' | 'httpPort', now: number): boolean => sources.get(key) === 'flag' && settings[key] !== now;
  if (differs('port', runtime.router.port) || differs('httpPort', runtime.http.port)) {
    context.terminal.err(`Its ports stay ${runtime.router.port} and ${runtime.http.port}; stop it first to change them.\n`);
  }
}

async function completeReplicas(client: ApiClient, wanted: number, context: CommandContext): Promise<void> {
  const have = (await client.status()).members.length - 1;
  if (wanted < have) {
    context.terminal.err(`It has ${have} replicas and keeps them; \`understudy replica remove\` takes one away.\n`);
  }
  for (let i = have; i < wanted; i++) {
    context.terminal.err(`Adding replica ${i + 1} of ${wanted}…\n`);
    await client.operate('POST', '/replicas', {}, ADD_REPLICA_LIMIT_MS);
  }
}
