import { Socket } from 'node:net';
import type { Account } from './account.ts';

/**
 * A Unix socket that is connected as this account, as `peer` authentication wants it: the kernel notes the effective user of the moment of connect(2), which
 * Node.js makes within the call. Only root may; null, or anybody else: as ourselves.
 */
export function socketAs(account: Account | null): Socket {
  const socket = new Socket();
  if (account === null || process.geteuid?.() !== 0) return socket;
  const connect = socket.connect.bind(socket) as (...args: unknown[]) => Socket;
  socket.connect = ((...args: unknown[]) => {
    const gid = process.getegid!();
    process.setegid!(account.gid);
    process.seteuid!(account.uid);
    try {
      return connect(...args);
    } finally {
      process.seteuid!(0);
      process.setegid!(gid);
    }
  }) as typeof socket.connect;
  return socket;
}
