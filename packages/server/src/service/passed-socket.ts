import { type Settings, UnderstudyError } from '@understudy/core/cluster';
import { openHandle } from '../proxy/workers/bound-handle.ts';
import { isLoopback } from '../supervisor/tls.ts';

/** By which systemd says what it passes: sd_listen_fds(3). */
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const;
const FIRST_FD = 3;

/** A port that somebody else holds open for us, whether we run or not. */
export interface PassedSocket {
  readonly fd: number;
  readonly host: string;
  readonly port: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** How many sockets are passed to the process with this id. Pure. */
export function passedCount(env: Environment, pid: number): number {
  const count = env['LISTEN_FDS'] ?? '';
  return env['LISTEN_PID'] === String(pid) && /^\d{1,9}$/.test(count) ? Number(count) : 0;
}

/**
 * The socket that systemd passes to this process; null: none. Its variables are taken out of `env`, for they are not meant for children of ours. The
 * descriptor stays open as long as this process does. Throws `bad-socket`.
 */
export function takePassedSocket(env: Record<string, string | undefined>, pid: number): PassedSocket | null {
  const count = passedCount(env, pid);
  for (const name of VARIABLES) delete env[name];
  if (count === 0) return null;
  if (count > 1) throw new UnderstudyError('bad-socket', { why: `it passes ${count} of them, and a proxy listens on one` });
  try {
    const { address } = openHandle(FIRST_FD);
    return { fd: FIRST_FD, host: address.address, port: address.port };
  } catch (error) {
    throw new UnderstudyError('bad-socket', { why: (error as Error).message }, { cause: error });
  }
}

/**
 * Settings as they are with that socket: its port counts. The host stays the address by which others know this machine, unless it is one of the machine
 * itself and the socket is open to others: what they send is to be encrypted. Pure.
 */
export function listeningOn(settings: Settings, socket: PassedSocket | null): Settings {
  if (socket === null) return settings;
  const host = isLoopback(settings.host) && !isLoopback(socket.host) ? socket.host : settings.host;
  return { ...settings, host, port: socket.port };
}
