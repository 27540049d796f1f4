import type { ChaosReport } from './run.ts';

const WIDTH = 1200;
const HEIGHT = 160;

/** One self-contained page: acknowledged writes over time, each fault with its outage, and the verdict. */
export function reportPage(report: ChaosReport): string {
  const begin = report.appends[0]?.sentAtMs ?? 0;
  const end = report.appends.at(-1)?.endedAtMs ?? 1;
  const x = (atMs: number): number => Math.round(((atMs - begin) / Math.max(1, end - begin)) * WIDTH);
  const perPixel = new Array<number>(WIDTH + 1).fill(0);
  for (const append of report.appends) if (append.outcome === 'acknowledged') perPixel[x(append.endedAtMs)]! += 1;
  const most = Math.max(1, ...perPixel);
  const bars = perPixel.map((n, i) =>
    n === 0 ? '' : `<rect x="${i}" y="${HEIGHT - (n / most) * HEIGHT}" width="1" height="${(n / most) * HEIGHT}"/>`,
  );
  const marks = report.faults.map(
    f => `<line x1="${x(f.atMs)}" x2="${x(f.atMs)}" y1="0" y2="${HEIGHT}" stroke="red"><title>${f.fault}: ${f.outageMs} ms</title></line>`,
  );
  const rows = report.faults.map(
    f => `<tr><td>${f.fault}</td><td>${f.outageMs} ms</td><td>${Math.round(f.healthyAtMs - f.atMs)} ms</td></tr>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>Chaos, seed ${report.seed}</title>
<style>body{font:14px system-ui;margin:2em}td{padding:0 1em 0 0}rect{fill:#369}</style>
<h1>Chaos, seed ${report.seed}: ${report.clean ? 'clean' : 'NOT CLEAN'}</h1>
<p>${report.acknowledged} writes acknowledged, ${report.unknown} of unknown outcome, ${report.rolledBack} rolled back; ${report.reads} reads.</p>
<svg width="${WIDTH}" height="${HEIGHT}">${bars.join('')}${marks.join('')}</svg>
<table><tr><th>fault<th>without a write<th>until healthy</tr>${rows.join('')}</table>
<pre>${JSON.stringify(report.verdict, null, 2)}</pre>
`;
}
