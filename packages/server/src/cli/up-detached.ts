import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import { inspectDirectory, makeFolder } from '../supervisor/directory.ts';
import { type ClusterPaths, clusterPaths } from '../supervisor/paths.ts';
import { type BackgroundMessage, errorOf } from './background.ts';
import type { CommandContext } from './context.ts';
import { type ProgressView, progressView } from './progress-view.ts';
import { clientOf, localCluster } from './target.ts';
import { printReached, reachedBy } from './up-result.ts';

/** The whole start, a copy for each replica included, as long as there is little data. */
const START_LIMIT_MS = 120_000;
/** Lines of the log that are shown when the supervisor dies. */
const LOG_TAIL_LINES = 15;

/** Starts a supervisor in a process of its own, and returns when the cluster is healthy. Throws what the child tells, `supervisor-failed` or `timed-out`. */
export async function startDetached(directory: string, context: CommandContext, json: boolean): Promise<ExitCode> {
  const paths = clusterPaths(directory);
  inspectDirectory(paths);
  makeFolder(paths.log);
  const logFile = join(paths.log, 'supervisor.log');
  const view = progressView(context.terminal);
  const child = spawnSupervisor(logFile);
  try {
    await untilHealthy(child, view, logFile);
  } catch (error) {
    if (error instanceof UnderstudyError && error.code !== 'supervisor-failed') forgetLog(paths);
    throw error;
  } finally {
    view.end();
    if (child.connected) child.disconnect();
    child.unref();
  }
  const cluster = localCluster(directory);
  const client = clientOf(cluster);
  printReached(await reachedBy(client, cluster.runtime?.token ?? '', 'detached'), context, json);
  return EXIT.ok;
}

/** The same command line without --detach, in a session of its own, so that closing the terminal does not end it. */
function spawnSupervisor(logFile: string): ChildProcess {
  const args = process.argv.slice(2).filter(argument => argument !== '--detach' && argument !== '--json');
  const log = openSync(logFile, 'a', 0o600);
  try {
    return fork(process.argv[1]!, [...args, '--background'], { detached: true, stdio: ['ignore', log, log, 'ipc'] });
  } finally {
    closeSync(log);
  }
}

function untilHealthy(child: ChildProcess, view: ProgressView, logFile: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(
      () => reject(new UnderstudyError('timed-out', { what: 'A healthy cluster', limitMs: START_LIMIT_MS })),
      START_LIMIT_MS,
    );
    const settle = (settled: () => void): void => {
      clearTimeout(deadline);
      child.removeAllListeners();
      settled();
    };
    child.on('message', (message: BackgroundMessage) => {
      switch (message.kind) {
        case 'progress':
          return view.show(message.event);
        case 'healthy':
          return settle(resolve);
        case 'failed':
          return settle(() => reject(errorOf(message.error)));
        default:
          return message satisfies never;
      }
    });
    child.once('exit', (code, signal) => {
      const died = (): void => settle(() => reject(diedError(code, signal, logFile)));
      // What it said last may still be in the channel.
      if (child.connected) child.once('disconnect', died);
      else died();
    });
    child.once('error', error => settle(() => reject(error)));
  });
}

function diedError(code: number | null, signal: string | null, logFile: string): UnderstudyError {
  const how = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
  const tail = tailOf(logFile);
  return new UnderstudyError('supervisor-failed', { why: tail === '' ? how : `${how}; its last words were:\n${tail}\n`, log: logFile });
}

/** Nothing was begun, and why has been told: the folder that we made for the log goes again. */
function forgetLog(paths: ClusterPaths): void {
  if (existsSync(paths.marker)) return;
  rmSync(paths.log, { recursive: true, force: true });
  if (readdirSync(paths.root).length === 0) rmdirSync(paths.root);
}

function tailOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-LOG_TAIL_LINES)
      .map(line => `  ${line}`)
      .join('\n');
  } catch {
    return '';
  }
}
