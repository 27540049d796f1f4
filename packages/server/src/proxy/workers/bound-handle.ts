import net from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A socket of the operating system that is bound, as node:cluster makes them for its own workers. */
export interface BoundHandle {
  readonly fd: number;
  /** Fills in the address, or tells what went wrong when it was bound: a negative number of the system's. */
  getsockname(into: Partial<BoundAddress>): number;
  /** 0 where somebody is at the other end. */
  getpeername(into: object): number;
  close(): void;
}

export interface BoundAddress {
  readonly address: string;
  readonly port: number;
}

type CreateHandle = (address: string | null, port: number, family: 4 | 6 | null, fd?: number) => BoundHandle | number;

/** A new socket on this address. Throws when the port is taken. */
export function bindHandle(address: string, port: number, family: 4 | 6): BoundHandle {
  const made = creator()(address, port, family);
  const failure = typeof made === 'number' ? made : made.getsockname({});
  if (typeof made !== 'number' && failure === 0) return made;
  throw new Error(`the router cannot listen on port ${port} of ${address}: ${getSystemErrorName(failure)}`);
}

/** The socket behind a descriptor that this process was handed, and its address. Throws, with the reason, when nobody can connect to it. */
export function openHandle(fd: number): { readonly handle: BoundHandle; readonly address: BoundAddress } {
  const handle = creator()(null, 0, null, fd);
  if (typeof handle === 'number' || typeof handle.getsockname !== 'function') throw new Error(`descriptor ${fd} is no TCP socket`);
  const at: Partial<BoundAddress> = {};
  const failure = handle.getsockname(at);
  if (failure !== 0) throw new Error(`descriptor ${fd} has no address (${getSystemErrorName(failure)})`);
  if (handle.getpeername({}) === 0) throw new Error(`descriptor ${fd} is a connection, not a port`);
  const { address, port } = at;
  if (address === undefined || !port) throw new Error(`descriptor ${fd} is bound to no port`);
  return { handle, address: { address, port } };
}

function creator(): CreateHandle {
  const create = (net as unknown as { _createServerHandle?: CreateHandle })._createServerHandle;
  if (create === undefined)
    throw new Error('this release of Node.js cannot share a port: set proxy.workers to 1, and let no socket unit open it');
  return create;
}
