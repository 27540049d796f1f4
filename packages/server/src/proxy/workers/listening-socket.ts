import { type ChildProcess, spawn } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import net, { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A socket of the operating system that is bound but does not listen, as node:cluster makes them for its own workers. */
interface BoundHandle {
  readonly fd: number;
  /** Fills in the address, or tells what went wrong when it was bound: a negative number of the system's. */
  getsockname(into: object): number;
  close(): void;
}

type CreateHandle = (address: string, port: number, family: 4 | 6, fd?: number, flags?: number) => BoundHandle | number;

const DUPLICATE_LIMIT_MS = 10_000;
/** Sends back every handle that it is sent: the kernel gives each copy a descriptor of its own. */
const ECHO = "process.on('message', (message, handle) => process.send(message, handle));";

/**
 * One bound port with a descriptor for each worker. A descriptor ends with the thread that listens on it, so threads cannot share one; Node.js can neither
 * duplicate descriptors nor set SO_REUSEPORT before version 22, but it hands sockets to child processes and back.
 */
export class ListeningSocket {
  readonly #handle: BoundHandle;
  /** Ours only as numbers: the threads close them. The objects are kept, for closing them here would close what has the number then. */
  readonly #handed: BoundHandle[] = [];

  private constructor(handle: BoundHandle) {
    this.#handle = handle;
  }

  /** Rejects when the port is taken. */
  static async bind(host: string, port: number): Promise<ListeningSocket> {
    const { address, family } = isIP(host) > 0 ? { address: host, family: isIP(host) } : await lookup(host);
    const create = (net as unknown as { _createServerHandle?: CreateHandle })._createServerHandle;
    if (create === undefined) throw new Error('this release of Node.js cannot share a port among threads: set proxy.workers to 1');
    const made = create(address, port, family === 6 ? 6 : 4);
    const failure = typeof made === 'number' ? made : made.getsockname({});
    if (typeof made === 'number' || failure !== 0) {
      throw new Error(`the router cannot listen on port ${port} of ${host}: ${getSystemErrorName(failure)}`);
    }
    if (made.fd < 0) throw new Error('this system cannot share a port among threads: set proxy.workers to 1');
    return new ListeningSocket(made);
  }

  /** Descriptors to listen on, each of them for one thread to keep. */
  async descriptors(count: number): Promise<number[]> {
    const child = spawn(process.execPath, ['-e', ECHO], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    try {
      const made = await duplicates(child, this.#handle, count);
      this.#handed.push(...made);
      return made.map(handle => handle.fd);
    } finally {
      child.kill('SIGKILL');
    }
  }

  close(): void {
    this.#handle.close();
  }
}

function duplicates(child: ChildProcess, handle: BoundHandle, count: number): Promise<BoundHandle[]> {
  return new Promise((resolve, reject) => {
    const made: BoundHandle[] = [];
    const timer = setTimeout(() => reject(new Error('the port could not be shared in time')), DUPLICATE_LIMIT_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    child.once('error', fail);
    child.once('exit', () => fail(new Error('the port could not be shared')));
    child.on('message', (_message, copy) => {
      made.push(copy as unknown as BoundHandle);
      if (made.length < count) return;
      clearTimeout(timer);
      resolve(made);
    });
    for (let i = 0; i < count; i++) child.send(i, handle as unknown as net.Server, error => error && fail(error));
  });
}
