// Delays what a machine sends to others and what they answer, each way by DELAY_MS: `delay-relay.mjs DELAY_MS OWN_ADDRESS PORT=HOST:PORT…`. It listens on
// each PORT of the loopback and connects to its HOST:PORT from OWN_ADDRESS, by which the rules of the network know its connections. Says `ready` when it listens.
import { connect, createServer } from 'node:net';

/** More than this on its way makes the sender wait. */
const LIMIT_BYTES = 4 * 1024 * 1024;

const [delay, localAddress, ...routes] = process.argv.slice(2);

function pass(from, to) {
  let underWay = 0;
  const later = deliver => setTimeout(deliver, Number(delay));
  from.on('data', bytes => {
    underWay += bytes.length;
    if (underWay > LIMIT_BYTES) from.pause();
    later(() => {
      underWay -= bytes.length;
      if (!to.destroyed) to.write(bytes);
      from.resume();
    });
  });
  from.on('end', () => later(() => to.end()));
  from.on('error', () => later(() => to.destroy()));
  from.on('close', () => later(() => to.destroy()));
}

const listening = routes.map(route => {
  const [, port, host, remotePort] = /^(\d+)=([\d.]+):(\d+)$/.exec(route);
  const server = createServer({ noDelay: true, allowHalfOpen: true }, client => {
    const upstream = connect({ host, port: Number(remotePort), localAddress, noDelay: true, allowHalfOpen: true });
    pass(client, upstream);
    pass(upstream, client);
  });
  return new Promise(resolve => server.listen(Number(port), '127.0.0.1', resolve));
});
await Promise.all(listening);
process.stdout.write('ready\n');
