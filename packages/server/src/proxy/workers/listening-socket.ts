import { type ChildProcess, spawn } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { isIP, type Server } from 'node:net';
import { bindHandle, type BoundHandle, openHandle } from './bound-handle.ts';

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
    const handle = bindHandle(address, port, family === 6 ? 6 : 4);
    if (handle.fd < 0) throw new Error('this system cannot share a port among threads: set proxy.workers to 1');
    return new ListeningSocket(handle);
  }

  /** One that this process was handed. Throws when the descriptor is none. */
  static adopt(fd: number): ListeningSocket {
    return new ListeningSocket(openHandle(fd).handle);
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
    for (let i = 0; i < count; i++) child.send(i, handle as unknown as Server, error => error && fail(error));
  });
}
