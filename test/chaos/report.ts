import type { ChaosReport, Mark } from './run.ts';

const WIDTH = 1200;
const HEIGHT = 160;

/** What the cluster says of itself that belongs into the picture, and its colour there. */
const SHOWN: Readonly<Record<string, string>> = {
  'term-raised': '#d80',
  'primary-elected': '#a0a',
  'primary-established': '#090',
  'primary-confirmed': '#090',
  'protection-lost': '#c00',
  'clone-started': '#888',
  'wal-archived': '#06c',
};

/** One self-contained page: acknowledged writes over time, each fault with its outage, what the cluster did then, and the verdict. */
export function reportPage(report: ChaosReport): string {
  const begin = report.appends[0]?.sentAtMs ?? 0;
  const end = Math.max(begin + 1, report.appends.at(-1)?.endedAtMs ?? 1);
  const x = (atMs: number): number => Math.round(((atMs - begin) / (end - begin)) * WIDTH);
  const seconds = (atMs: number): string => ((atMs - begin) / 1000).toFixed(1);
  const perPixel = new Array<number>(WIDTH + 1).fill(0);
  for (const append of report.appends) if (append.outcome === 'acknowledged') perPixel[x(append.endedAtMs)]! += 1;
  const most = Math.max(1, ...perPixel);
  const bars = perPixel.map((n, i) =>
    n === 0 ? '' : `<rect x="${i}" y="${HEIGHT - (n / most) * HEIGHT}" width="1" height="${(n / most) * HEIGHT}"/>`,
  );
  const faults = report.faults.map(
    f =>
      `<line x1="${x(f.atMs)}" x2="${x(f.atMs)}" y1="0" y2="${HEIGHT}" stroke="red"><title>${seconds(f.atMs)} s ${f.fault}: ${f.outageMs} ms</title></line>`,
  );
  const marks = report.marks.filter(mark => mark.kind in SHOWN && mark.atMs >= begin);
  const dots = marks.map(
    mark =>
      `<circle cx="${x(mark.atMs)}" cy="${HEIGHT + 10}" r="4" fill="${SHOWN[mark.kind]}"><title>${seconds(mark.atMs)} s ${escape(mark)}</title></circle>`,
  );
  const rows = report.faults.map(
    f =>
      `<tr><td>${seconds(f.atMs)} s</td><td>${f.fault}</td><td>${f.outageMs} ms</td><td>${Math.round(f.healthyAtMs - f.atMs)} ms</td><td>${marks
        .filter(mark => mark.atMs >= f.atMs && mark.atMs <= f.healthyAtMs)
        .map(mark => `<span style="color:${SHOWN[mark.kind]}" title="${escape(mark)}">${mark.kind}</span>`)
        .join(' ')}</td></tr>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>Chaos, seed ${report.seed}</title>
<style>body{font:14px system-ui;margin:2em}td{padding:0 1em 0 0;vertical-align:top}rect{fill:#369}</style>
<h1>Chaos, seed ${report.seed}: ${report.clean ? 'clean' : 'NOT CLEAN'}</h1>
<p>${report.acknowledged} writes acknowledged, ${report.unknown} of unknown outcome, ${report.rolledBack} rolled back; ${report.reads} reads.
Red lines are faults, dots what the cluster did: point at them.</p>
<svg width="${WIDTH + 10}" height="${HEIGHT + 20}">${bars.join('')}${faults.join('')}${dots.join('')}</svg>
<table><tr><th>at<th>fault<th>without a write<th>until healthy<th>what happened</tr>${rows.join('')}</table>
<pre>${JSON.stringify({ verdict: report.verdict, surprises: report.surprises }, null, 2)}</pre>
`;
}

function escape({ kind, text }: Mark): string {
  return `${kind}: ${text}`.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
