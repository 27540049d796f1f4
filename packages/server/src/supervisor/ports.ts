import { createServer } from 'node:net';
import { UnderstudyError } from '@understudy/core/cluster';

/** How many ports after the wished one are tried. */
const TRIES = 200;

/** A port that was wished for: said by the user (taken is an error) or our default (taken moves on). */
export interface PortWish {
  readonly port: number;
  readonly explicit: boolean;
  /** The flag that sets it, for the message. */
  readonly flag: string;
}

/** The part of a URL that says where: an IPv6 address needs brackets. */
export function authority(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Whether a TCP port can be listened on now. Rejects when that is not a matter of the port being taken. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** The wished port, or the next free one after a default. Throws `port-taken`, `no-free-port`, or `bad-option` where this address cannot be listened on. */
export async function choosePort(host: string, wish: PortWish, taken: ReadonlySet<number>): Promise<number> {
  if (wish.explicit) {
    if (taken.has(wish.port) || !(await isOffered(host, wish.port, wish.flag))) {
      throw new UnderstudyError('port-taken', { port: wish.port, host, flag: wish.flag });
    }
    return wish.port;
  }
  const last = Math.min(wish.port + TRIES, 65_535);
  for (let port = wish.port; port <= last; port++) {
    if (!taken.has(port) && (await isOffered(host, port, wish.flag))) return port;
  }
  throw new UnderstudyError('no-free-port', { port: wish.port, last });
}

async function isOffered(host: string, port: number, flag: string): Promise<boolean> {
  try {
    return await isPortFree(host, port);
  } catch (error) {
    const why = `nothing can listen on ${host}, port ${port} (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
    throw new UnderstudyError('bad-option', { option: flag, why, command: 'up' }, { cause: error });
  }
}
