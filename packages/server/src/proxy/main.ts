import { channel } from '../store/link.ts';
import { parentLink } from '../store/process-link.ts';
import type { ToProxy } from './messages.ts';
import { workersFor } from './options.ts';
import { threadProgram, WorkerHub } from './workers/hub.ts';
import { onlyPlace } from './workers/place.ts';
import { serveProxy } from './workers/serve.ts';

/** The program of the proxy's process: the only worker itself, or the hub of several in threads. It ends when its supervisor does. */
function main(): void {
  const link = parentLink();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  let begun = false;
  channel(link, 'control').onMessage(message => {
    const said = message as ToProxy;
    if (begun || (said.kind !== 'begin' && said.kind !== 'begin-asking')) return;
    begun = true;
    const workers = workersFor(said.options);
    if (workers === 1) serveProxy(said, link, onlyPlace(said.listenFd));
    else void new WorkerHub({ begin: said, link, slots: workers, program: threadProgram(), exit: process.exit }).start();
  });
}

main();
