import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { fullName, type MetricName, METRICS, specOf } from '../../src/api/metrics-catalogue.ts';

const read = (file: string): string => readFileSync(new URL(`../../../../docs/monitoring/${file}`, import.meta.url), 'utf8');

/** Labels that Prometheus itself puts on. */
const SCRAPED = ['job', 'instance'];
/** Series of each metric, with the labels that may be asked of it. */
const SERIES = new Map(
  (Object.keys(METRICS) as MetricName[]).flatMap(name => {
    const { type, labels } = specOf(name);
    const full = fullName(name);
    return type === 'histogram'
      ? [[`${full}_bucket`, [...labels, 'le']] as const, [`${full}_sum`, labels] as const, [`${full}_count`, labels] as const]
      : [[full, labels] as const];
  }),
);

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}
interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string; readonly annotations: object }[];
  }[];
}

const dashboard = (JSON.parse(read('grafana.json')) as Dashboard).panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => [title, expr] as const),
);
const alerts = (parse(read('alerts.yaml')) as Rules).groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const));

describe('what watches a cluster asks for nothing that it does not say', () => {
  test.each([...dashboard, ...alerts])('%s: %s', (_name, expr) => {
    const asked = [...expr.matchAll(/\b(understudy_\w+)(?:\{([^}]*)\})?/g)];
    if (asked.length === 0) expect(expr).toContain('up{job="understudy"}');
    for (const [, name, selector] of asked) {
      expect([...SERIES.keys()]).toContain(name);
      const labels = [...(selector ?? '').matchAll(/(\w+)(?:=|!=|=~|!~)"/g)].map(([, label]) => label!);
      for (const label of labels) expect([...SERIES.get(name!)!, ...SCRAPED]).toContain(label);
    }
  });

  test('every alert says what it means and what to do', () => {
    for (const { rules } of (parse(read('alerts.yaml')) as Rules).groups) {
      for (const { annotations } of rules) expect(Object.keys(annotations)).toEqual(['summary', 'description']);
    }
  });

  test('the dashboard shows every number of the router and of the members', () => {
    const shown = dashboard.map(([, expr]) => expr).join('\n');
    const missing = (Object.keys(METRICS) as MetricName[])
      .filter(name => name.startsWith('router_') || name.startsWith('member_'))
      .filter(name => !shown.includes(fullName(name)));
    // Facts for alerts and joins rather than pictures.
    expect(missing).toEqual([
      'member_up',
      'member_timeline',
      'member_in_cohort',
      'member_apply_delay_seconds',
      'member_replay_paused',
      'router_up',
    ]);
  });
});
