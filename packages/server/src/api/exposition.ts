import { BUCKETS_MS, type Histogram, observed } from '@understudy/core/routing';
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { fullName, type LabelsOf, type MetricName, type MetricOf, METRICS, specOf } from './metrics-catalogue.ts';

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly histogram: Histogram;
}

/**
 * One answer to a scrape. Everything is drawn anew for each, so nothing that has left the cluster lingers; a metric that is told nothing
 * is there with its name alone, or with 0 where it has no labels.
 */
export class Exposition {
  readonly #registry = new Registry();
  readonly #metrics = new Map<MetricName, Gauge | Counter>();
  readonly #histograms = new Map<MetricName, Series[]>();

  constructor() {
    for (const name of Object.keys(METRICS) as MetricName[]) this.#add(name);
  }

  set<N extends MetricOf<'gauge'>>(name: N, labels: LabelsOf<N>, value: number): void {
    (this.#metrics.get(name) as Gauge).set(labels, value);
  }

  /** Adds to what it stands at in this answer. */
  count<N extends MetricOf<'counter'>>(name: N, labels: LabelsOf<N>, value: number): void {
    (this.#metrics.get(name) as Counter).inc(labels, value);
  }

  histogram<N extends MetricOf<'histogram'>>(name: N, labels: LabelsOf<N>, histogram: Histogram): void {
    this.#histograms.get(name)?.push({ labels, histogram });
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  #add(name: MetricName): void {
    const { type: kind, help, labels } = specOf(name);
    const about = { name: fullName(name), help, labelNames: [...labels], registers: [this.#registry] };
    switch (kind) {
      case 'gauge':
        this.#metrics.set(name, new Gauge(about));
        return;
      case 'counter':
        this.#metrics.set(name, new Counter(about));
        return;
      case 'histogram': {
        const series: Series[] = [];
        this.#histograms.set(name, series);
        // Its own Histogram counts by itself; ours were counted elsewhere.
        const get = async (): Promise<unknown> => ({
          name: about.name,
          help,
          type: kind,
          values: series.flatMap(of => lines(about.name, of)),
        });
        this.#registry.registerMetric({ name: about.name, get } as unknown as Metric);
        return;
      }
      default:
        kind satisfies never;
    }
  }
}

/** Cumulative buckets in seconds, the sum and the count. */
function lines(name: string, { labels, histogram }: Series): readonly object[] {
  let below = 0;
  const buckets = [...BUCKETS_MS, Number.POSITIVE_INFINITY].map((bound, i) => {
    below += histogram.counts[i] ?? 0;
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : bound / 1000;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: histogram.sumMs / 1000 },
    { metricName: `${name}_count`, labels, value: observed(histogram) },
  ];
}
