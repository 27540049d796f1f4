import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatClock } from '../model/format.ts';
import { SAMPLE_WINDOW_MS } from '../model/samples.ts';
import { useColorScheme } from './use-color-scheme.ts';
import { useWidth } from './use-width.ts';

/** A line of a chart. `color` is the name of a custom property, so that both colour schemes have their own. */
export interface Line {
  readonly name: string;
  readonly color: string;
}

interface LineChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Times in seconds, then the values of each line. */
  readonly columns: readonly (readonly (number | null)[])[];
  /** The axis reaches at least this far, so that noise around nothing looks like nothing. */
  readonly atLeast: number;
  readonly format: (value: number) => string;
  /** Powers of 1024 look odd at ticks of 1000. */
  readonly binary?: boolean;
  /** CSS pixels, with the axis. */
  readonly height: number;
}

const MINUTES: readonly number[] = [60, 120, 300];
const BINARY_STEPS: readonly number[] = Array.from({ length: 45 }, (_, i) => 2 ** i);

/** The last five minutes, newest at the right. */
export function LineChart(props: LineChartProps): JSX.Element {
  const { title, lines, columns, format, height } = props;
  const [element, width] = useWidth<HTMLDivElement>();
  const chart = useRef<UPlot | null>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const scheme = useColorScheme();
  const shape = `${scheme} ${props.binary ?? false} ${props.atLeast} ${lines.map(line => `${line.name}:${line.color}`).join()}`;
  useEffect(() => {
    if (width === 0) return undefined;
    const made = new UPlot(optionsOf(props, width, element.current!, setPointed), columns as UPlot.AlignedData, element.current!);
    chart.current = made;
    return () => made.destroy();
  }, [shape, width > 0]);
  useEffect(() => chart.current?.setSize({ width, height }), [width]);
  useEffect(() => chart.current?.setData(columns as UPlot.AlignedData), [columns]);
  const last = (columns[0]?.length ?? 0) - 1;
  const shown = pointed !== null && pointed <= last ? pointed : last;
  const values = lines.map(({ name, color }, i) => ({ name, color, value: columns[i + 1]?.[shown] ?? null }));
  const words = values.map(({ name, value }) => `${name} ${value === null ? 'not known' : format(value)}`).join(', ');
  return (
    <figure class="chart">
      <figcaption class="legend">
        {values.map(({ name, color, value }) => (
          <span key={name} class="legend-entry">
            <i style={{ background: `var(${color})` }} />
            {name} <b>{value === null ? '–' : format(value)}</b>
          </span>
        ))}
        <time>{pointed === null ? 'now' : formatClock((columns[0]?.[shown] ?? 0) * 1000)}</time>
      </figcaption>
      <div ref={element} class="plot" style={{ height: `${height}px` }} role="img" aria-label={`${title}: ${words}`} />
    </figure>
  );
}

function optionsOf(props: LineChartProps, width: number, element: HTMLElement, onPoint: (index: number | null) => void): UPlot.Options {
  const css = getComputedStyle(element);
  const color = (name: string): string => css.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width,
    height: props.height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: {
        time: true,
        range: (_, __, max) => [
          (Number.isFinite(max) ? max : Date.now() / 1000) - SAMPLE_WINDOW_MS / 1000,
          Number.isFinite(max) ? max : Date.now() / 1000,
        ],
      },
      y: { range: (_, __, max) => [0, Math.max(props.atLeast, (max ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, size: 26, space: 48, incrs: [...MINUTES], values: (_, ticks) => ticks.map(tick => formatClock(tick * 1000).slice(0, 5)) },
      {
        ...axis,
        size: 62,
        space: 34,
        ...(props.binary ? { incrs: [...BINARY_STEPS] } : {}),
        values: (_, ticks) => ticks.map(props.format),
      },
    ],
    series: [
      {},
      ...props.lines.map(line => ({ label: line.name, stroke: color(line.color), width: 1.75, points: { show: false }, spanGaps: false })),
    ],
    hooks: { setCursor: [plot => onPoint(plot.cursor.left !== undefined && plot.cursor.left >= 0 ? (plot.cursor.idx ?? null) : null)] },
  };
}
