import type { Settings } from '@understudy/core/cluster';
import type { LoadedSettings } from '../settings/load.ts';
import { onReload } from '../settings/reloads.ts';
import { startSupervisor, type ProgressListener, type Supervisor } from '../supervisor/index.ts';
import { traceSettings } from '../telemetry/settings.ts';
import { tellParent } from './background.ts';
import type { CommandContext } from './context.ts';
import { packageVersion } from './package-version.ts';
import { progressView } from './progress-view.ts';
import { printReached } from './up-result.ts';
import { terminalLog } from './terminal-log.ts';
import { withoutPassword } from '../api/redact.ts';

/** How long a cluster may take to become healthy; it goes on after that, but `up` says so. */
export const HEALTHY_LIMIT_MS = 120_000;

export interface ForegroundOptions {
  readonly json: boolean;
  /** Started by `up --detach`: progress and outcome go over IPC, the rest into the log. */
  readonly background: boolean;
  /** A backup that a new cluster begins with. */
  readonly fromBackup: string | null;
  /** Reads the settings again. */
  readonly reload: () => LoadedSettings;
}

/** Runs the cluster in this process until it is stopped. Throws what keeps it from starting. */
export async function runForeground(
  loaded: LoadedSettings,
  directory: string,
  context: CommandContext,
  options: ForegroundOptions,
): Promise<void> {
  const { terminal } = context;
  const view = progressView(terminal);
  const progress: ProgressListener = event => (options.background ? void tellParent({ kind: 'progress', event }) : view.show(event));
  const stop = context.takeInterrupts();
  try {
    const supervisor = await startSupervisor(loaded, directory, packageVersion(), progress, options.fromBackup);
    const stopping = (): void => {
      if (!options.json) terminal.err('Stopping…\n');
      void supervisor.stop();
    };
    if (stop.aborted) stopping();
    else stop.addEventListener('abort', stopping, { once: true });
    const endTraces = await traced(supervisor, loaded.settings, context);
    onReload(loaded.configPath, stop, cause => void supervisor.reload(() => options.reload().settings, cause));
    await Promise.race([announce(supervisor, loaded.settings, context, options, () => view.end()), supervisor.whenStopped]);
    await supervisor.whenStopped;
    await endTraces();
  } catch (error) {
    if (options.background) await tellParent({ kind: 'failed', error });
    throw error;
  } finally {
    view.end();
  }
}

/** Traces, if OpenTelemetry's variables ask for them; else nothing is loaded. */
async function traced(
  { facade }: Supervisor,
  { logLevel, logFormat }: Settings,
  { env, terminal }: CommandContext,
): Promise<() => Promise<void>> {
  const settings = traceSettings(env);
  if (settings === null) return async () => undefined;
  const log = terminalLog(terminal, { level: logLevel, format: logFormat, name: 'supervisor' });
  const { startTraces } = await import('../telemetry/traces.ts');
  return startTraces(facade, { settings, version: packageVersion(), member: null, warn: message => log.warn(message) });
}

/** Waits for the cluster to be healthy, says so, and shows what happens from then on. */
async function announce(
  supervisor: Supervisor,
  settings: Settings,
  context: CommandContext,
  options: ForegroundOptions,
  endProgress: () => void,
): Promise<void> {
  const { facade } = supervisor;
  const { terminal } = context;
  let healthy = true;
  try {
    await supervisor.whenHealthy(HEALTHY_LIMIT_MS);
  } catch (error) {
    if (options.background) await tellParent({ kind: 'failed', error });
    healthy = false;
  }
  endProgress();
  const document = facade.status();
  const status = { ...document, endpoints: { ...document.endpoints, router: withoutPassword(document.endpoints.router) } };
  if (options.background) {
    if (healthy) await tellParent({ kind: 'healthy', status });
  } else printReached({ status, url: facade.url('router'), token: facade.token, mode: 'foreground' }, context, options.json);
  if (options.json) return;
  // In the foreground somebody looks, also through a pipe.
  const { logLevel: level, logFormat } = settings;
  const log = terminalLog(terminal, {
    level,
    format: logFormat === 'auto' && !options.background ? 'pretty' : logFormat,
    name: 'supervisor',
  });
  facade.subscribe(event => log.event(event));
}
