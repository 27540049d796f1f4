import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS, type PeerName } from '../peers/peer.ts';
import { type CellResult, formatted, ratioTo, valueOf } from './cell.ts';
import { pointsChart } from './chart.ts';
import type { Machine } from './machine.ts';
import { publish } from './publish.ts';
import { median } from './stats.ts';

/** All that was measured, over several runs: cells that are measured again replace the older ones. */
export interface Report {
  readonly schema: 1;
  readonly machine: Machine;
  readonly postgres: string;
  readonly versions: Partial<Record<PeerName, string>>;
  readonly cells: Readonly<Record<string, CellResult>>;
}

const NUMBERS = 'results.json';
const PICTURE = 'point-reads.svg';

export function readReport(directory: string): Report | null {
  const path = join(directory, NUMBERS);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Report) : null;
}

/** Writes numbers, table and picture. */
export function writeReport(directory: string, report: Report): void {
  publish(directory, 'results', report, tableOf(report));
  writeFileSync(join(directory, PICTURE), pointsChart(report));
}

/** Median of one detail. */
function detailOf(result: CellResult, peer: PeerName, detail: string): number | null {
  const values = (result.peers[peer]?.rounds ?? []).flatMap(round => round?.[detail] ?? []);
  return values.length === 0 ? null : median(values);
}

/** The report for people, in Markdown. */
export function tableOf({ machine, postgres, versions, cells }: Report): string {
  const there = PEERS.filter(peer => Object.values(cells).some(cell => cell.peers[peer] !== undefined));
  const lines = [
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.distribution}, Linux ${machine.kernel}, Node.js ${machine.node}.`,
    `PostgreSQL ${postgres}. ${there.map(peer => `${peer} ${versions[peer] ?? ''}`.trim()).join(', ')}.`,
    '',
    `| | unit | ${there.join(' | ')} | ${others(there)
      .map(peer => `× ${peer}`)
      .join(' | ')} |`,
    `| --- | --- | ${there.map(() => '---:').join(' | ')} | ${others(there)
      .map(() => '---:')
      .join(' | ')} |`,
  ];
  for (const cell of Object.values(cells)) {
    const values = there.map(peer => valueText(cell, peer));
    const ratios = others(there).map(peer => ratioText(cell, peer));
    lines.push(`| ${cell.title} | ${cell.unit} | ${values.join(' | ')} | ${ratios.join(' | ')} |`);
  }
  return `${[...lines, '', ...cpuTable(cells, there)].join('\n')}\n`;
}

const others = (peers: readonly PeerName[]): readonly PeerName[] => peers.filter(peer => peer !== 'understudy');

function valueText(cell: CellResult, peer: PeerName): string {
  const value = valueOf(cell, peer);
  return value === null ? '–' : formatted(value);
}

function ratioText(cell: CellResult, peer: PeerName): string {
  const ratio = ratioTo(cell, peer);
  return ratio === null ? '–' : `${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)}–${ratio.greatest.toFixed(2)})`;
}

/** CPU for one transaction: router / servers, in microseconds, and the 99th percentile of the latency. */
function cpuTable(cells: Report['cells'], there: readonly PeerName[]): string[] {
  const measured = Object.values(cells).filter(cell => there.some(peer => detailOf(cell, peer, 'routerUs') !== null));
  if (measured.length === 0) return [];
  return [
    `| router + servers, µs of CPU; p50 / p99, ms | ${there.join(' | ')} |`,
    `| --- | ${there.map(() => '---:').join(' | ')} |`,
    ...measured.map(cell => `| ${cell.title} | ${there.map(peer => cpuText(cell, peer)).join(' | ')} |`),
  ];
}

function cpuText(cell: CellResult, peer: PeerName): string {
  const [router, servers, p50, p99] = ['routerUs', 'serverUs', 'p50Ms', 'p99Ms'].map(detail => detailOf(cell, peer, detail));
  if (router == null || servers == null || p50 == null || p99 == null) return '–';
  return `${router.toFixed(0)} + ${servers.toFixed(0)}; ${p50.toFixed(2)} / ${p99.toFixed(2)}`;
}
