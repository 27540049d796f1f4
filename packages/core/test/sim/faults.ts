import type { Random } from './random.ts';
import { STORE } from './network.ts';
import type { World } from './world.ts';

const KINDS = [
  'crash-postgres',
  'crash-agent',
  'crash-both',
  'crash-host',
  'crash-host',
  'stop-postgres',
  'stop-agent',
  'stop-both',
  'disk-slow',
  'disk-frozen',
  'disk-full',
  'cut-store',
  'cut-store-one-way',
  'cut-pair',
  'cut-pair-one-way',
  'isolate',
  'store-down',
  'network-slow',
  'clock-jump',
  'pause',
  'switchover',
  'failover',
  'accept-loss',
  'nofailover',
  'acks',
] as const;

export type FaultKind = (typeof KINDS)[number];

/** One thing that goes wrong, and for how long. Targets are drawn here, so that leaving a fault out changes no other. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Of the primary of that moment, or of the nth member. */
  readonly target: 'primary' | number;
  readonly other: number;
  readonly forMs: number;
}

export function drawFaults(random: Random, members: number, forMs: number): readonly Fault[] {
  const count = random.int(1, 9);
  const burst = random.chance(0.4) ? random.between(0, forMs - 2500) : null;
  const faults = Array.from({ length: count }, (): Fault => {
    const kind = random.pick(KINDS);
    return {
      atMs: burst === null ? random.between(0, forMs) : burst + random.between(0, 2500),
      kind,
      target: random.chance(0.5) ? 'primary' : random.int(0, members - 1),
      other: random.int(0, members - 1),
      forMs: random.chance(0.3) ? random.between(20, 400) : random.between(400, 6000),
    };
  });
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

export function describeFault(fault: Fault): string {
  return `${fault.atMs.toFixed(0)} ms: ${fault.kind} of ${fault.target === 'primary' ? 'the primary' : `n${fault.target + 1}`} (n${fault.other + 1}) for ${fault.forMs.toFixed(0)} ms`;
}

export function planFaults(world: World, faults: readonly Fault[], startMs: number): void {
  for (const fault of faults) world.events.at(startMs + fault.atMs, () => strike(world, fault));
}

function strike(world: World, fault: Fault): void {
  const ids = [...world.agents.keys()];
  const id = fault.target === 'primary' ? (world.store.state.rule?.primary ?? ids[0]!) : ids[fault.target % ids.length]!;
  const other = ids[fault.other % ids.length]!;
  const mend = apply(world, fault.kind, id, other, fault);
  world.lastFaultMs = world.now;
  world.trace('fault', `${fault.kind} of ${id} for ${fault.forMs.toFixed(0)} ms`);
  if (mend)
    world.events.after(fault.forMs, () => {
      world.lastFaultMs = world.now;
      mend();
    });
}

type Mend = (() => void) | null;

function apply(world: World, kind: FaultKind, id: string, other: string, fault: Fault): Mend {
  const agent = world.agents.get(id)!;
  const { postgres } = agent;
  switch (kind) {
    case 'crash-postgres':
      postgres.kill(true);
      return null;
    case 'crash-agent':
      agent.crash();
      return () => agent.start();
    case 'crash-both':
      agent.crash();
      postgres.kill(true);
      return () => agent.start();
    case 'crash-host':
      agent.crash();
      postgres.kill(true, true);
      return () => agent.start();
    case 'stop-postgres':
      postgres.freeze();
      return () => thaw(world, id);
    case 'stop-agent':
      agent.frozen = true;
      return () => thawAgent(world, id);
    case 'stop-both':
      postgres.freeze();
      agent.frozen = true;
      return () => {
        thaw(world, id);
        thawAgent(world, id);
      };
    case 'disk-slow':
    case 'disk-frozen':
    case 'disk-full':
      postgres.setDisk(kind === 'disk-slow' ? 'slow' : kind === 'disk-full' ? 'full' : 'frozen');
      return () => postgres.setDisk('well');
    case 'clock-jump':
      agent.wallJumpMs += fault.forMs % 2 < 1 ? 3_600_000 : -3_600_000;
      return null;
    case 'cut-store':
    case 'cut-store-one-way':
    case 'cut-pair':
    case 'cut-pair-one-way':
    case 'isolate':
    case 'store-down':
    case 'network-slow':
      return disturbNetwork(world, kind, id, other, fault);
    default:
      return command(world, kind, id, other, fault);
  }
}

function thaw(world: World, id: string): void {
  world.servers.get(id)!.frozen = false;
  world.poke(id);
}

function thawAgent(world: World, id: string): void {
  const agent = world.agents.get(id)!;
  if (!agent.frozen) return;
  agent.frozen = false;
  agent.thawedAtMs = world.now;
  agent.poke();
}

function disturbNetwork(world: World, kind: FaultKind, id: string, other: string, fault: Fault): Mend {
  const { network, store } = world;
  const cut = (pairs: readonly (readonly [string, string])[]): Mend => {
    for (const [from, to] of pairs) network.cut(from, to);
    return () => {
      for (const [from, to] of pairs) network.heal(from, to);
    };
  };
  const oneWay = fault.forMs % 2 < 1;
  if (kind === 'store-down') {
    store.available = false;
    return () => {
      store.available = true;
    };
  }
  if (kind === 'network-slow') {
    network.slowMs = 10 + (fault.forMs % 60);
    return () => {
      network.slowMs = 0;
    };
  }
  if (kind === 'cut-store')
    return cut([
      [id, STORE],
      [STORE, id],
    ]);
  if (kind === 'cut-store-one-way') return cut([oneWay ? [id, STORE] : [STORE, id]]);
  if (kind === 'cut-pair')
    return cut([
      [id, other],
      [other, id],
    ]);
  if (kind === 'cut-pair-one-way') return cut([oneWay ? [id, other] : [other, id]]);
  return cut([STORE, ...world.agents.keys()].filter(node => node !== id).flatMap(node => [[id, node] as const, [node, id] as const]));
}

function command(world: World, kind: FaultKind, id: string, other: string, fault: Fault): Mend {
  const { store } = world;
  const { rule } = store.state;
  if (rule === null) return null;
  const intentId = `${world.now}`;
  switch (kind) {
    case 'pause':
      store.change(state => ({ ...state, paused: { atMs: world.now } }));
      return () => resume(world);
    case 'switchover':
      world.routersDrained = fault.forMs % 3 < 2;
      store.change(state => ({
        ...state,
        intent: { kind: 'switchover', id: intentId, to: fault.forMs % 2 < 1 ? null : other, fromTerm: rule.term, atMs: world.now },
      }));
      return null;
    case 'failover':
    case 'accept-loss': {
      // The operator accepts a loss only when nobody leads, and not while an old primary may still be seen.
      const acceptDataLoss = kind === 'accept-loss';
      if (acceptDataLoss && (world.leader !== null || fault.forMs % 4 > 1)) return null;
      world.accepted ||= acceptDataLoss;
      store.change(state => ({
        ...state,
        intent: { kind: 'failover', id: intentId, to: null, acceptDataLoss, fromTerm: rule.term, atMs: world.now },
      }));
      return null;
    }
    case 'nofailover':
      store.change(state => withSpec(state, id, { nofailover: true }));
      return () => store.change(state => withSpec(state, id, { nofailover: false }));
    case 'acks':
      if (store.state.durability.mode === 'async') return null;
      store.change(state => ({ ...state, durability: { ...state.durability, acks: 1 + (Math.floor(fault.forMs) % 2) } }));
      return null;
    default:
      return null;
  }
}

function withSpec(state: World['store']['state'], id: string, change: { readonly nofailover: boolean }): World['store']['state'] {
  const spec = state.members[id];
  return spec ? { ...state, members: { ...state.members, [id]: { ...spec, ...change } } } : state;
}

/** `resume` is refused while a primary without acks does not answer: it may still believe in the pause. */
function resume(world: World): void {
  const { rule } = world.store.state;
  const agent = rule && world.agents.get(rule.primary);
  if (rule?.acks === 0 && agent && !(agent.well && agent.revision === world.store.revision && world.network.bothWays(agent.id, STORE))) {
    world.events.after(500, () => resume(world));
    return;
  }
  world.store.change(state => ({ ...state, paused: null }));
}

/** Everything is mended. What happens from here on must lead to a healthy cluster. */
export function healAll(world: World): void {
  world.trace('fault', 'everything is mended');
  world.network.healAll();
  world.store.available = true;
  for (const agent of world.agents.values()) {
    agent.postgres.setDisk('well');
    thaw(world, agent.id);
    thawAgent(world, agent.id);
    agent.start();
  }
  resume(world);
  for (const id of world.agents.keys()) world.store.change(state => withSpec(state, id, { nofailover: false }));
  world.lastFaultMs = world.now;
}
