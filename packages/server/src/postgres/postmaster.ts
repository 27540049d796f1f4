import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { asAccount, postgresEnvironment } from './command.ts';
import { PostgresError } from './errors.ts';
import { dataArguments, type MemberPaths } from './layout.ts';
import { openLog } from './log-file.ts';
import { findProcess, type ProcessInfo, serverProcesses } from './processes.ts';
import type { Provider } from './provider.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import { isSocketFile, socketDirectory, socketSetting } from './socket.ts';

/** How a postmaster ended. Both are null for an adopted one: only a parent is told. */
export interface PostmasterExit {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One life of a postmaster. */
export interface Postmaster {
  readonly pid: number;
  readonly adopted: boolean;
  /** Resolves the moment it is gone; never rejects. */
  readonly exited: Promise<PostmasterExit>;
}

const ADOPTED_POLL_MS = 20;

/**
 * Starts `postgres` itself, without pg_ctl, so that its end is a child's exit event. It gets a session of its own and outlives us. `otherSockets`: directories for its
 * Unix socket beside the member's own.
 * Throws `start-failed` when the program cannot be run.
 */
export async function spawnPostmaster(
  provider: Provider,
  account: Account | null,
  paths: MemberPaths,
  otherSockets: readonly string[],
): Promise<Postmaster> {
  await removeSockets(paths.memberDirectory);
  const own = socketDirectory(paths.memberDirectory);
  // One that has gone (below /run after a boot) would keep the server from starting.
  const others = otherSockets.filter(directory => directory !== own && existsSync(directory));
  const sockets = socketSetting(own === null ? others : [own, ...others]);
  const log = await openLog(account, paths.logFile);
  try {
    const child = spawn(provider.postgres, [...dataArguments(paths), '-c', `unix_socket_directories=${sockets}`], {
      ...asAccount(account),
      cwd: '/',
      env: postgresEnvironment(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', error => reject(new PostgresError('start-failed', `${provider.postgres} cannot be run`, { cause: error })));
      child.once('spawn', () => resolve(child.pid as number));
    });
    const exited = new Promise<PostmasterExit>(resolve => {
      child.once('exit', (exitCode, signal) => resolve({ pid, exitCode, signal }));
    });
    child.unref();
    return { pid, adopted: false, exited };
  } finally {
    await log.close();
  }
}

/**
 * What an earlier postmaster has left of its sockets. PostgreSQL takes a socket over only when no process has the number in its lock, which by now may be
 * anybody's.
 */
async function removeSockets(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter(isSocketFile);
  await Promise.all(names.map(name => rm(join(directory, name), { force: true })));
}

/** The living postmaster of this data directory, by its own processes and not only by the word of postmaster.pid; null when there is none. */
export async function findPostmaster(dataDirectory: string): Promise<ProcessInfo | null> {
  const file = await readPostmasterFile(dataDirectory);
  if (!file) return null;
  const directory = await realpath(dataDirectory).catch(() => dataDirectory);
  return (await serverProcesses(directory)).find(info => info.pid === file.pid) ?? null;
}

/** Takes over a postmaster that a dead agent left behind. Its end is seen within 20 ms. */
export function adoptPostmaster(found: ProcessInfo): Postmaster {
  const exited = new Promise<PostmasterExit>(resolve => {
    const timer = setInterval(() => {
      void findProcess(found.pid).then(info => {
        if (info?.startedAt === found.startedAt) return;
        clearInterval(timer);
        resolve({ pid: found.pid, exitCode: null, signal: null });
      });
    }, ADOPTED_POLL_MS);
    timer.unref();
  });
  return { pid: found.pid, adopted: true, exited };
}
