import { PEERS, type PeerName } from '../peers/peer.ts';
import { valueOf } from './cell.ts';
import type { Report } from './report.ts';

const COLOURS: Readonly<Record<PeerName, string>> = {
  understudy: '#2563eb',
  client: '#0891b2',
  direct: '#6b7280',
  pgbouncer: '#d97706',
  pgpool: '#dc2626',
  haproxy: '#059669',
  odyssey: '#7c3aed',
  pgcat: '#db2777',
};

export interface Series {
  readonly name: string;
  readonly colour: string;
  /** y for each x of the panel; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface Panel {
  readonly title: string;
  readonly xs: readonly string[];
  readonly series: readonly Series[];
}

const WIDTH = 300;
const HEIGHT = 200;
const LEFT = 50;
const TOP = 40;

/** Panels of lines side by side with one legend, as SVG. `ys` names what is drawn upwards. */
export function lineChart(heading: string, below: string, panels: readonly Panel[]): string {
  const width = panels.length * (WIDTH + LEFT + 10) + 10;
  const height = TOP + HEIGHT + 80;
  const names = [...new Map(panels.flatMap(panel => panel.series.map(s => [s.name, s.colour] as const)))];
  const legend = names.map(([name, colour], i) => {
    const x = LEFT + i * 105;
    return `<rect x="${x}" y="${height - 22}" width="12" height="4" fill="${colour}"/><text x="${x + 17}" y="${height - 16}">${escapeXml(name)}</text>`;
  });
  const drawn = panels.map((panel, i) => `<g transform="translate(${LEFT + i * (WIDTH + LEFT + 10)},${TOP})">${drawPanel(panel)}</g>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="#374151">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="10" y="18" font-size="13" font-weight="600">${escapeXml(heading)}</text>`,
    ...drawn,
    `<text x="${LEFT}" y="${height - 36}" fill="#6b7280">${escapeXml(below)}</text>`,
    ...legend,
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel({ title, xs, series }: Panel): string {
  const top = niceCeiling(Math.max(1, ...series.flatMap(s => s.values.flatMap(v => v ?? []))));
  const x = (i: number): number => (xs.length === 1 ? WIDTH / 2 : (i * WIDTH) / (xs.length - 1));
  const y = (value: number): number => HEIGHT - (value / top) * HEIGHT;
  const parts = [`<text x="0" y="-8" font-weight="600">${escapeXml(title)}</text>`];
  const ticks = ticksUpTo(top);
  for (let i = 0; i <= ticks; i++) {
    const share = i / ticks;
    const at = y(top * share);
    parts.push(`<line x1="0" x2="${WIDTH}" y1="${at}" y2="${at}" stroke="#e5e7eb"/>`);
    parts.push(`<text x="-6" y="${at + 4}" text-anchor="end" fill="#6b7280">${short(top * share)}</text>`);
  }
  for (const [i, label] of xs.entries())
    parts.push(`<text x="${x(i)}" y="${HEIGHT + 16}" text-anchor="middle" fill="#6b7280">${escapeXml(label)}</text>`);
  for (const { colour, values } of series) {
    const points = values.flatMap((value, i) => (value === null ? [] : [`${x(i).toFixed(1)},${y(value).toFixed(1)}`]));
    parts.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const point of points) parts.push(`<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="2.5" fill="${colour}"/>`);
  }
  return parts.join('');
}

/** The next of 1, 2, 2.5, 3, 4, 5 times a power of ten; a hundredth above one of them still counts as that. */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 3, 4, 5, 10].find(step => step * power * 1.01 >= value) ?? 10) * power;
}

/** Steps whose values are short numbers. */
function ticksUpTo(top: number): number {
  const leading = Number((top / 10 ** Math.floor(Math.log10(top))).toFixed(1));
  return leading === 3 ? 3 : leading === 2 || leading === 4 ? 4 : 5;
}

const short = (value: number): string => (value >= 1000 ? `${Number((value / 1000).toFixed(1))}k` : String(Number(value.toFixed(1))));

const escapeXml = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** Point reads by number of clients, a panel for each mode. */
export function pointsChart(report: Report): string {
  const clients = [1, 8, 32, 128, 512];
  const panels = (['simple', 'extended', 'prepared'] as const).map(mode => ({
    title: `${mode} protocol`,
    xs: clients.map(String),
    series: PEERS.map(name => ({
      name,
      colour: COLOURS[name],
      values: clients.map(count => {
        const cell = report.cells[`points-${mode}-${count}`];
        return cell === undefined ? null : valueOf(cell, name);
      }),
    })).filter(series => series.values.some(value => value !== null)),
  }));
  const { machine, postgres } = report;
  const below = `clients; ${machine.cores} cores, all of it on one machine, PostgreSQL ${postgres}`;
  return lineChart('Point reads a second (pgbench -S), medians of interleaved rounds', below, panels);
}
