// A worker as the hub sees one: it listens where it is told, says its number to whoever connects, and does as it is told by them.
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { slot, listenFd } = workerData;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads, not a window
const say = (channel, body) => parentPort.postMessage({ channel, body });
let clients = 0;

parentPort.on('message', ({ channel, body }) => {
  if (channel === 'control' && body.kind === 'stop') process.exit(0);
  if (channel === 'control' && body.kind === 'reload')
    say('control', { kind: 'reload-failed', message: `${slot}: ${body.options.poolSize}` });
  if (channel === 'peers' && body.kind === 'asked') {
    if (body.question.user === 'silent') return;
    say('peers', { kind: 'answer', id: body.id, answer: { kind: 'role', clients: slot * 10 } });
  }
  if (channel === 'peers' && body.kind === 'answers') {
    const told = body.answers.map(answer => answer.clients).sort((a, b) => a - b);
    say('control', { kind: 'event', event: { kind: 'router-warning', message: `answers ${told}` } });
  }
});

const server = createServer(socket => {
  clients += 1;
  const stats = {
    clients,
    held: 0,
    writes: 1,
    reads: { n2: 1 },
    laneReads: 0,
    lanes: 0,
    retries: {},
    refusedLogins: 0,
    cancels: 0,
    sessions: { active: 1, idle: 0, inTransaction: 0, pinned: 0 },
    pools: [],
    prepared: { sent: 0, reused: 0 },
    answers: {},
    waits: {},
    holds: { counts: [], sumMs: 0 },
    holdFailures: {},
    listening: null,
  };
  say('control', { kind: 'stats', stats });
  socket.on('error', () => undefined);
  socket.write(`${slot}\n`);
  socket.on('data', data => {
    const said = String(data).trim();
    if (said === 'crash') throw new Error('a defect');
    if (said === 'drained') say('control', { kind: 'drained', intentId: 'i1' });
    if (said.startsWith('ask ')) say('peers', { kind: 'ask', id: 7, slot: null, question: { kind: 'role', user: said.slice(4) } });
    socket.write('done\n');
  });
});
server.listen({ fd: listenFd }, () => {
  const { address, port } = server.address();
  say('control', { kind: 'listening', host: address, port });
});
