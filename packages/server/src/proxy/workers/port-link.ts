import type { MessagePort, Worker } from 'node:worker_threads';
import type { Link } from '../../store/link.ts';

/** The link between a thread and the one that started it; each has one end. Messages of one direction stay in order. */
export function portLink(port: MessagePort | Worker): Link {
  return {
    send: (message, onSent) => {
      port.postMessage(message);
      // There is no word of when it was read: whoever sends in step goes on in the next turn.
      if (onSent !== undefined) setImmediate(onSent);
    },
    onMessage: listener => port.on('message', listener),
    onClose: listener => port.once('close' in port ? 'close' : 'exit', listener),
  };
}
