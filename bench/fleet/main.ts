/**
 * A large fleet, simulated: 1,000 replicas, some of them slow, some at times behind; 100,000 clients, few of which do most. Only core/routing is real.
 *
 *   npm run bench:fleet -- [--replicas 1000] [--reads 400000] [--load 0.7] [--seed 1] [--out DIR]
 */
import { parseArgs } from 'node:util';
import { markdownTable, publish } from '../lib/publish.ts';
import { quantile } from '../lib/stats.ts';
import { DEFAULT_PLAN, Fleet, type FleetOutcome, type FleetPlan } from './fleet.ts';
import { POLICY_NAMES } from './policies.ts';

const { values } = parseArgs({
  options: {
    replicas: { type: 'string', default: String(DEFAULT_PLAN.replicas) },
    clients: { type: 'string', default: String(DEFAULT_PLAN.clients) },
    reads: { type: 'string', default: String(DEFAULT_PLAN.reads) },
    load: { type: 'string', default: String(DEFAULT_PLAN.load) },
    seed: { type: 'string', default: String(DEFAULT_PLAN.seed) },
    out: { type: 'string', default: 'bench-results' },
  },
});

const plan: FleetPlan = {
  ...DEFAULT_PLAN,
  replicas: Number(values.replicas),
  clients: Number(values.clients),
  reads: Number(values.reads),
  load: Number(values.load),
  seed: Number(values.seed),
};

/** Reads of the busiest of the replicas that are not slow, against their mean: 1 is a perfect balance. */
function imbalance({ served, slow }: FleetOutcome): number {
  const counts = [...served].filter((_, i) => !slow[i]);
  return Math.max(...counts) / (counts.reduce((sum, count) => sum + count, 0) / counts.length);
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);

const HEAD = ['policy', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'busiest', 'stale', 'primary', 'ns/choice'];
const rows = POLICY_NAMES.map(policy => {
  const outcome = new Fleet({ ...plan, policy }).run();
  const latencies = [0.5, 0.99, 0.999, 1].map(share => ms(quantile([...outcome.latenciesMs], share)));
  const counts = [imbalance(outcome).toFixed(2), String(outcome.stale), `${((outcome.onPrimary / plan.reads) * 100).toFixed(2)} %`];
  process.stderr.write(`${policy}\n`);
  return [policy, ...latencies, ...counts, outcome.decisionNs.toFixed(0)];
});
const what = `${plan.replicas} replicas, ${plan.clients} clients, ${plan.reads} reads at ${plan.load * 100} % of what the replicas can bear, seed ${plan.seed}.`;
const words = `${what}\n\n${markdownTable([HEAD, ...rows])}`;
process.stdout.write(words);
publish(values.out, 'fleet', { plan, rows: rows.map(row => Object.fromEntries(row.map((cell, i) => [HEAD[i], cell]))) }, words);
