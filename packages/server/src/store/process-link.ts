import type { ChildProcess } from 'node:child_process';
import type { Link } from './link.ts';

/** The parent's end of a child's IPC channel. A message to a child that is gone is dropped: its exit is an event of its own. */
export function childLink(child: ChildProcess): Link {
  return {
    send: (message, onSent) => {
      if (child.connected) child.send(message as object, onSent ?? ignore);
    },
    onMessage: listener => child.on('message', listener),
    onClose: listener => child.once('disconnect', listener),
  };
}

/** The child's end. Throws when this process was not started by a supervisor. */
export function parentLink(): Link {
  if (!process.send) throw new Error('this program is started by the supervisor only');
  return {
    send: (message, onSent) => {
      if (process.connected) process.send?.(message, undefined, undefined, onSent ?? ignore);
    },
    onMessage: listener => process.on('message', listener),
    onClose: listener => process.once('disconnect', listener),
  };
}

function ignore(): void {}
