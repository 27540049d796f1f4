import { parentPort, workerData } from 'node:worker_threads';
import { channel } from '../../store/link.ts';
import { portLink } from './port-link.ts';
import { serveProxy } from './serve.ts';
import { ThreadPlace, type ThreadStart } from './thread-place.ts';

/** The program of a worker's thread. */
function main(): void {
  if (parentPort === null) throw new Error('this program is started by the hub of the workers only');
  const { begin, ...place } = workerData as ThreadStart;
  const link = portLink(parentPort);
  serveProxy(begin, link, new ThreadPlace(place, channel(link, 'peers')));
}

main();
