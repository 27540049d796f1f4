import type { Durability, MemberSpec } from '../../src/cluster/index.ts';
import { Violation } from './checks.ts';
import { drawFaults, type Fault, healAll, planFaults } from './faults.ts';
import { type Mutation, NO_MUTATION } from './mutations.ts';
import { Random } from './random.ts';
import { World, type WorldOptions } from './world.ts';

const FAULTS_MS = 10_000;
/** After everything is mended, the cluster must be healthy within this time. */
const HEALING_MS = 60_000;

export interface Outcome {
  readonly seed: number;
  readonly violation: { readonly code: string; readonly message: string } | null;
  readonly failovers: number;
  readonly acknowledgements: number;
  readonly virtualMs: number;
  readonly lines: readonly string[];
}

export interface Scenario {
  readonly options: WorldOptions;
  readonly faults: readonly Fault[];
}

/** All that a seed stands for: the cluster and what befalls it. */
export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed, 0);
  const members = random.pick([2, 3, 3, 3, 3, 4, 5, 7]);
  const async = random.chance(0.15);
  const durability: Durability = {
    mode: async ? 'async' : 'quorum',
    acks: members > 3 && random.chance(0.4) ? 2 : 1,
    whenAlone: random.chance(0.75) ? 'continue' : 'block',
    acksFrom: random.chance(0.2) ? 'other-zones' : 'any-zone',
    maxLossBytes: 1 << 20,
  };
  const specs: Readonly<Record<string, Partial<MemberSpec>>> = random.chance(0.2)
    ? {
        [`n${random.int(2, members)}`]: random.pick([
          { nofailover: true },
          { nosync: true },
          { applyDelayMs: 3_600_000 },
          { priority: 200 },
          { follows: `n${random.int(1, members)}` },
        ]),
      }
    : {};
  const zoned = Object.fromEntries(
    Array.from({ length: members }, (_, i): [string, Partial<MemberSpec>] => {
      const id = `n${i + 1}`;
      return [id, { zone: random.pick(['east', 'west', 'west']), ...specs[id] }];
    }),
  );
  const options = { seed, members, durability, fromScratch: random.chance(0.1), specs: zoned };
  return { options, faults: drawFaults(random, members, FAULTS_MS) };
}

export function runScenario({ options, faults }: Scenario, mutation: Mutation = NO_MUTATION, trace = false): Outcome {
  const world = new World({ ...options, mutation, trace });
  const outcome = (violation: Outcome['violation']): Outcome => ({
    seed: options.seed,
    violation,
    failovers: world.checks.failovers,
    acknowledgements: world.checks.acknowledgements,
    virtualMs: world.now,
    lines: world.lines,
  });
  try {
    const startMs = options.fromScratch ? 0 : 1500;
    planFaults(world, faults, startMs);
    world.run(startMs + (faults.at(-1)?.atMs ?? 0) + 3000);
    healAll(world);
    const healthy = world.runUntil(() => world.illness() === null, HEALING_MS);
    if (!healthy) return outcome({ code: 'L1', message: `L1: not healthy after ${HEALING_MS} ms: ${world.illness()}` });
    if (world.store.state.rule === null) return outcome(null);
    const before = world.checks.acknowledgements;
    if (!world.runUntil(() => world.checks.acknowledgements > before, 5000))
      return outcome({ code: 'L1', message: 'L1: healthy, yet no write is acknowledged' });
    world.checks.atEnd();
    return outcome(null);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return outcome({ code: error.code, message: error.message });
  }
}

export function runSeed(seed: number, mutation: Mutation = NO_MUTATION, trace = false): Outcome {
  return runScenario(scenarioOf(seed), mutation, trace);
}

/** Leaves out faults as long as the same invariant is still broken: what remains is the story. */
export function shrink(seed: number, mutation: Mutation = NO_MUTATION): Scenario {
  let scenario = scenarioOf(seed);
  const { code } = runScenario(scenario, mutation).violation ?? { code: null };
  for (let i = 0; i < scenario.faults.length; ) {
    const fewer = { ...scenario, faults: scenario.faults.toSpliced(i, 1) };
    if (runScenario(fewer, mutation).violation?.code === code) scenario = fewer;
    else i++;
  }
  return scenario;
}
