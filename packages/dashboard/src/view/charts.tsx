import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { formatBytes, formatDuration, formatRate } from '../model/format.ts';
import { columnsOf, type Sample } from '../model/samples.ts';
import { samples, status } from '../state/store.ts';
import { type Line, LineChart } from './line-chart.tsx';

/** CSS pixels. Reads and writes have a plot each, since there are a hundred of the ones to one of the others. */
const HEIGHTS = { lag: 222, reads: 112, writes: 88 } as const;

/** How many colours there are for members; the next ones begin again. */
const MEMBER_COLORS = 8;

const LAG_UNITS = {
  time: { label: 'Time', atLeast: 20, format: formatDuration, of: (sample: Sample, id: string) => sample.lag[id]?.ms ?? null },
  bytes: { label: 'Bytes', atLeast: 64 * 1024, format: formatBytes, of: (sample: Sample, id: string) => sample.lag[id]?.bytes ?? null },
} as const;
type LagUnit = keyof typeof LAG_UNITS;

/** How far each replica is behind, over time. */
export function LagChart(): JSX.Element {
  const [unit, setUnit] = useState<LagUnit>('time');
  const { atLeast, format, of } = LAG_UNITS[unit];
  const ids = memberIds();
  const lines = ids.map((id, i) => ({ name: id, color: `--member-${i % MEMBER_COLORS}` })).filter(line => hasLag(line.name));
  const names = lines.map(line => line.name);
  const columns = useMemo(() => columnsOf(samples.value, names, of), [samples.value, names.join(), unit]);
  return (
    <section class="panel" aria-labelledby="lag-title">
      <header class="panel-head">
        <h2 id="lag-title">Replication lag</h2>
        <UnitSwitch unit={unit} onChange={setUnit} />
      </header>
      <LineChart
        title="Replication lag"
        lines={lines}
        columns={columns}
        atLeast={atLeast}
        format={format}
        binary={unit === 'bytes'}
        height={HEIGHTS.lag}
      />
    </section>
  );
}

function memberIds(): readonly string[] {
  return (status.value?.members ?? []).map(member => member.id).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

function hasLag(id: string): boolean {
  return samples.value.some(sample => id in sample.lag);
}

function UnitSwitch({ unit, onChange }: { readonly unit: LagUnit; readonly onChange: (unit: LagUnit) => void }): JSX.Element {
  return (
    <div class="segments" role="group" aria-label="Lag in">
      {(Object.keys(LAG_UNITS) as LagUnit[]).map(each => (
        <button key={each} type="button" aria-pressed={each === unit} onClick={() => onChange(each)}>
          {LAG_UNITS[each].label}
        </button>
      ))}
    </div>
  );
}

const READS: readonly Line[] = [{ name: 'reads/s', color: '--reads' }];
const WRITES: readonly Line[] = [{ name: 'writes/s', color: '--writes' }];

/** Statements per second through the router. */
export function TrafficChart(): JSX.Element {
  const reads = useMemo(() => columnsOf(samples.value, ['reads'], ({ rates }) => rates?.readsTotal ?? null), [samples.value]);
  const writes = useMemo(() => columnsOf(samples.value, ['writes'], ({ rates }) => rates?.writes ?? null), [samples.value]);
  return (
    <section class="panel" aria-labelledby="traffic-title">
      <header class="panel-head">
        <h2 id="traffic-title">Reads and writes</h2>
      </header>
      <LineChart title="Reads" lines={READS} columns={reads} atLeast={10} format={formatRate} height={HEIGHTS.reads} />
      <LineChart title="Writes" lines={WRITES} columns={writes} atLeast={10} format={formatRate} height={HEIGHTS.writes} />
    </section>
  );
}
