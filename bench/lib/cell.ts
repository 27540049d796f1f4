import type { Peer, PeerName, PeerSetting } from '../peers/peer.ts';
import { median, type Ratio, ratioOfRounds, rotated } from './stats.ts';

/** What one run of one peer gives; more is better or less is better as the cell says. All but `value` for those who ask why. */
export interface Measurement {
  readonly value: number;
  readonly [detail: string]: number;
}

/** One line of the report: the same work for every peer. */
export interface Cell {
  readonly id: string;
  readonly title: string;
  /** Of `value`: `tps`, `MB/s`, `logins/s`, `KiB`. */
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** The most clients that it connects. */
  readonly clients: number;
  /** Peers that take no part, with the reason. */
  readonly without?: Partial<Record<PeerName, string>>;
  /** More rounds than this tell nothing new. */
  readonly maxRounds?: number;
  measure(peer: Peer, world: World): Promise<Measurement>;
}

export interface World {
  readonly setting: PeerSetting;
  /** Processes whose CPU is that of the servers. */
  readonly postmasters: readonly number[];
  readonly seconds: number;
}

export interface PeerResult {
  readonly version: string;
  /** One for each round; null: that round failed. */
  readonly rounds: readonly (Measurement | null)[];
  /** Why it has no numbers, or too few. */
  readonly error: string | null;
}

export interface CellResult {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly takenAt: string;
  readonly peers: Partial<Record<PeerName, PeerResult>>;
}

/** After so many failures a peer is left out of the cell's other rounds. */
const MAX_FAILURES = 2;

/** Runs a cell: each round all peers, one after the other, in another order each time. */
export async function runCell(
  cell: Cell,
  peers: readonly Peer[],
  world: World,
  rounds: number,
  say: (line: string) => void,
): Promise<CellResult> {
  const found = new Map<PeerName, { rounds: (Measurement | null)[]; error: string | null; failures: number }>();
  for (const { name } of peers) found.set(name, { rounds: [], error: cell.without?.[name] ?? null, failures: 0 });
  for (let round = 0; round < Math.min(rounds, cell.maxRounds ?? rounds); round++) {
    for (const peer of rotated(peers, round)) {
      const of = found.get(peer.name);
      if (of === undefined || cell.without?.[peer.name] !== undefined || of.failures >= MAX_FAILURES) continue;
      try {
        const measured = await cell.measure(peer, world);
        of.rounds.push(measured);
        say(`  ${round + 1} ${peer.name.padEnd(11)}${formatted(measured.value).padStart(9)} ${cell.unit}  ${detailsOf(measured)}`);
      } catch (error) {
        of.failures += 1;
        of.rounds.push(null);
        of.error = (error as Error).message;
        say(`  ${round + 1} ${peer.name.padEnd(11)} ${of.error}`);
      }
    }
  }
  const results: Partial<Record<PeerName, PeerResult>> = {};
  for (const peer of peers) {
    const { rounds: all, error } = found.get(peer.name) ?? { rounds: [], error: null };
    results[peer.name] = { version: peer.version, rounds: all, error };
  }
  const { id, title, unit, better } = cell;
  return { id, title, unit, better, takenAt: new Date().toISOString(), peers: results };
}

/** Median of a cell's value for a peer; null when it has none. */
export function valueOf(result: CellResult, peer: PeerName): number | null {
  const values = (result.peers[peer]?.rounds ?? []).flatMap(round => round?.value ?? []);
  return values.length === 0 ? null : median(values);
}

/** How many times Understudy's value is the peer's, by rounds. */
export function ratioTo(result: CellResult, peer: PeerName): Ratio | null {
  const values = (name: PeerName): (number | null)[] => (result.peers[name]?.rounds ?? []).map(round => round?.value ?? null);
  return ratioOfRounds(values('understudy'), values(peer));
}

export function formatted(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function detailsOf(measured: Measurement): string {
  return Object.entries(measured)
    .filter(([name]) => name !== 'value')
    .map(([name, value]) => `${name} ${formatted(value)}`)
    .join('  ');
}
