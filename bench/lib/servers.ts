import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { until } from '../../test/support/wait.ts';

/** A program of a peer, with what it says in a file. */
export interface RunningServer {
  readonly pid: number;
  stop(): Promise<void>;
}

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 5_000;

/** Starts a program and waits until it takes connections on the port. Rejects with the end of its log when it does not. */
export async function startServer(command: string, args: readonly string[], port: number, log: string): Promise<RunningServer> {
  const out = openSync(log, 'a');
  const child = spawn(command, args, { stdio: ['ignore', out, out] });
  closeSync(out);
  try {
    await until(
      `${command} on port ${port}`,
      async () => (hasEnded(child) ? Promise.reject(new Error('it ended')) : await accepts(port)),
      START_LIMIT_MS,
    );
  } catch (error) {
    await stop(child, 'SIGKILL');
    throw new Error(`${command}: ${(error as Error).message}: ${readFileSync(log, 'utf8').trim().slice(-500)}`, { cause: error });
  }
  return { pid: child.pid as number, stop: () => stop(child, 'SIGINT') };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(force);
}

function accepts(port: number): Promise<true | null> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(null));
  });
}

/** The version that a program tells of itself; null when it is not installed. */
export function versionOf(command: string, argument = '--version'): string | null {
  const asked = spawnSync(command, [argument], { encoding: 'utf8' });
  if (asked.error) return null;
  return /\d+(\.\d+)+/.exec(`${asked.stdout}${asked.stderr}`)?.[0] ?? 'unknown version';
}
