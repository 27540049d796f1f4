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

/** Whether a TCP port can be listened on now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** The wished port, or the next free one after a default. Throws `port-taken` or `no-free-port`. */
export async function choosePort(host: string, wish: PortWish, taken: ReadonlySet<number>): Promise<number> {
  if (wish.explicit) {
    if (taken.has(wish.port) || !(await isPortFree(host, wish.port))) {
      throw new UnderstudyError('port-taken', { port: wish.port, host, flag: wish.flag });
    }
    return wish.port;
  }
  const last = Math.min(wish.port + TRIES, 65_535);
  for (let port = wish.port; port <= last; port++) {
    if (!taken.has(port) && (await isPortFree(host, port))) return port;
  }
  throw new UnderstudyError('no-free-port', { port: wish.port, last });
}
