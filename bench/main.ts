/**
 * The bench: Understudy's proxy beside direct connections and other poolers, on one cluster, in one run, round by round.
 *
 *   npm run bench -- [--only points-extended,writes] [--peers understudy,pgbouncer] [--rounds 5] [--seconds 4] [--data DIR] [--out DIR]
 *
 * `--data` keeps the cluster for the next run; `--out` is where results.json, results.md and the picture go, together with what earlier runs
 * have left there.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Cell, type CellResult, runCell } from './lib/cell.ts';
import { BenchCluster } from './lib/cluster.ts';
import { thisMachine } from './lib/machine.ts';
import { pgbench } from './lib/pgbench.ts';
import { readReport, tableOf, writeReport } from './lib/report.ts';
import { cellsFor } from './parts/index.ts';
import { STARTERS } from './peers/index.ts';
import { PEERS, type Peer, type PeerName, type PeerSetting } from './peers/peer.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    peers: { type: 'string', default: PEERS.join(',') },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    data: { type: 'string' },
    out: { type: 'string', default: 'bench-results' },
  },
});

/** One for each client of the largest part, for several peers that keep theirs. The one setting of the cluster that is not the default. */
const MAX_CONNECTIONS = 2500;

const WARM_UP_SECONDS = 2;

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const words = (list: string): string[] => list.split(',').filter(word => word !== '');

function peersNamed(list: string): readonly PeerName[] {
  return words(list).map(word => {
    const name = PEERS.find(peer => peer === word);
    if (name === undefined) throw new Error(`no peer is called ${word}; there are ${PEERS.join(', ')}`);
    return name;
  });
}

async function startPeers(names: readonly PeerName[], setting: PeerSetting): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const name of names) {
    const started = await STARTERS[name](setting).catch((error: Error) => ({ name, missing: error.message }));
    if ('missing' in started) say(`without ${name}: ${started.missing}`);
    else peers.push(started);
  }
  return peers;
}

/** Node compiles what runs often, and a router that carries load has done so long ago. */
async function warmUp(cluster: BenchCluster): Promise<void> {
  for (const mode of ['simple', 'extended', 'prepared'] as const)
    await pgbench({ to: cluster.router, mode, clients: 8, seconds: WARM_UP_SECONDS, work: ['-S'] }, () => undefined);
}

async function measureAll(cluster: BenchCluster, cells: readonly Cell[], directory: string): Promise<CellResult[]> {
  const setting: PeerSetting = {
    directory,
    primary: cluster.primary,
    replicas: cluster.replicas,
    router: cluster.router,
    routerPid: cluster.routerPid,
    maxClients: Math.max(...cells.map(cell => cell.clients)),
  };
  const peers = await startPeers(peersNamed(values.peers), setting);
  const world = { setting, postmasters: cluster.postmasterPids, seconds: Number(values.seconds) };
  const results: CellResult[] = [];
  try {
    await warmUp(cluster);
    for (const cell of cells) {
      say(cell.title);
      results.push(await runCell(cell, peers, world, Number(values.rounds), say));
    }
  } finally {
    for (const peer of peers) await peer.stop();
  }
  return results;
}

async function main(): Promise<void> {
  const cells = cellsFor(words(values.only));
  const directory = mkdtempSync(join(tmpdir(), 'understudy-bench-peers-'));
  chmodSync(directory, 0o755);
  const kept = values.data === undefined ? null : resolve(values.data);
  const cluster = await BenchCluster.start({ kept, replicas: 2, postgres: { max_connections: MAX_CONNECTIONS } });
  try {
    const [server] = await cluster.query(cluster.primary, 'SHOW server_version');
    const measured = await measureAll(cluster, cells, directory);
    const before = readReport(values.out);
    const versions = Object.fromEntries(measured.flatMap(cell => Object.entries(cell.peers).map(([name, peer]) => [name, peer.version])));
    const report = {
      schema: 1,
      machine: thisMachine(),
      postgres: String(server?.['server_version']),
      versions: { ...before?.versions, ...versions },
      cells: { ...before?.cells, ...Object.fromEntries(measured.map(cell => [cell.id, cell])) },
    } as const;
    writeReport(values.out, report);
    process.stdout.write(tableOf({ ...report, cells: Object.fromEntries(measured.map(cell => [cell.id, cell])) }));
  } finally {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error: Error) => {
  say(error.message);
  process.exit(1);
});
