import { STORE } from './network.ts';
import type { Random } from './random.ts';
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
  'cut-members',
  'cut-all',
  'isolate',
  'store-down',
  'network-slow',
  'clock-jump',
  'pause',
  'switchover',
  'failover',
  'accept-loss',
  'nofailover',
  'leave',
  'acks',
] as const;

export type FaultKind = (typeof KINDS)[number];

/** What an armed fault waits for: it strikes right after the store changed so, which plain chance seldom does. */
export type Occasion = 'election' | 'cohort' | 'established' | null;

/** One thing that goes wrong, and for how long. Targets are drawn here, so that leaving a fault out changes no other. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Of the primary of that moment, or of the nth member. */
  readonly target: 'primary' | number;
  readonly other: number;
  readonly forMs: number;
  /** Armed at `atMs`, it strikes `delayMs` after the occasion. */
  readonly occasion?: Occasion;
  readonly delayMs?: number;
}

const BREAKS: readonly FaultKind[] = [
  'crash-postgres',
  'crash-both',
  'crash-host',
  'crash-host',
  'stop-both',
  'isolate',
  'cut-store',
  'crash-agent',
];
const HINDERS: readonly FaultKind[] = [
  'cut-pair',
  'cut-pair',
  'disk-slow',
  'stop-postgres',
  'disk-frozen',
  'cut-pair-one-way',
  'crash-host',
  'cut-members',
];

export function drawFaults(random: Random, members: number, forMs: number): readonly Fault[] {
  const draw = random.pick([drawScattered, drawScattered, drawBurst, drawChain, drawArmed]);
  return draw(random, members, forMs).toSorted((a, b) => a.atMs - b.atMs);
}

const draw = (random: Random, members: number, kinds: readonly FaultKind[], atMs: number): Fault => ({
  atMs,
  kind: random.pick(kinds),
  target: random.chance(0.5) ? 'primary' : random.int(0, members - 1),
  other: random.int(0, members - 1),
  forMs: random.chance(0.3) ? random.between(20, 400) : random.between(400, 6000),
});

function drawScattered(random: Random, members: number, forMs: number): readonly Fault[] {
  return Array.from({ length: random.int(1, 8) }, () => draw(random, members, KINDS, random.between(0, forMs)));
}

function drawBurst(random: Random, members: number, forMs: number): readonly Fault[] {
  const startMs = random.between(0, forMs - 2500);
  return Array.from({ length: random.int(2, 8) }, () => draw(random, members, KINDS, startMs + random.between(0, 2500)));
}

/** A replica falls behind, then one primary after the other goes. */
function drawChain(random: Random, members: number, forMs: number): readonly Fault[] {
  let atMs = random.between(0, forMs / 2);
  const hinder = {
    ...draw(random, members, HINDERS, atMs),
    target: random.int(1, members - 1),
    other: 0,
    forMs: random.between(500, 4000),
  };
  const faults: Fault[] = [hinder];
  for (let i = random.int(1, 3); i > 0; i--) {
    atMs += random.between(30, 1800);
    faults.push({ ...draw(random, members, random.chance(0.2) ? ['clock-jump'] : BREAKS, atMs), target: 'primary' });
  }
  return faults;
}

/** Something goes wrong right after an election or a change of the cohort. */
function drawArmed(random: Random, members: number, forMs: number): readonly Fault[] {
  const [first, ...rest] = drawChain(random, members, forMs);
  const armed = Array.from(
    { length: random.int(1, 2) },
    (): Fault => ({
      ...draw(random, members, BREAKS, first!.atMs + random.between(0, 300)),
      target: random.chance(0.8) ? 'primary' : random.int(0, members - 1),
      occasion: random.pick(['election', 'cohort', 'cohort', 'established']),
      delayMs: random.between(0, random.pick([30, 300])),
    }),
  );
  return [first!, ...rest, ...armed];
}

export function describeFault(fault: Fault): string {
  const target = fault.target === 'primary' ? 'the primary' : `n${fault.target + 1}`;
  const when = fault.occasion ? ` ${fault.delayMs?.toFixed(0)} ms after the next ${fault.occasion}` : '';
  return `${fault.atMs.toFixed(0)} ms: ${fault.kind} of ${target} (n${fault.other + 1}) for ${fault.forMs.toFixed(0)} ms${when}`;
}

export function planFaults(world: World, faults: readonly Fault[], startMs: number): void {
  for (const fault of faults)
    world.events.at(startMs + fault.atMs, () => {
      if (fault.occasion)
        world.armed.push({ on: fault.occasion, strike: () => world.events.after(fault.delayMs ?? 0, () => strike(world, fault)) });
      else strike(world, fault);
    });
}

/** Lets one fault happen now. */
export function strike(world: World, fault: Fault): void {
  if (world.healed) return;
  const ids = [...world.agents.keys()];
  const id = fault.target === 'primary' ? (world.store.state.rule?.primary ?? ids[0]!) : ids[fault.target % ids.length]!;
  const other = ids[fault.other % ids.length]!;
  const isWide = fault.kind === 'store-down' || fault.kind === 'network-slow' || fault.kind === 'cut-all' || fault.kind === 'cut-members';
  const nodes = isWide ? [STORE, ...ids] : [id, other];
  world.disturb(nodes);
  const mend = apply(world, fault.kind, id, other, fault);
  world.trace('fault', `${fault.kind} of ${id} for ${fault.forMs.toFixed(0)} ms`);
  if (mend)
    world.events.after(fault.forMs, () => {
      if (world.healed) return;
      world.disturb(nodes);
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
    case 'crash-host':
      agent.crash();
      postgres.kill(true, kind === 'crash-host');
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
    case 'cut-members':
    case 'cut-all':
    case 'isolate':
    case 'store-down':
    case 'network-slow':
      return disturbNetwork(world, kind, id, other, fault);
    case 'pause':
    case 'switchover':
    case 'failover':
    case 'accept-loss':
    case 'nofailover':
    case 'leave':
    case 'acks':
      return command(world, kind, id, other, fault);
    default:
      return kind satisfies never;
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

type NetworkFault =
  | 'cut-store'
  | 'cut-store-one-way'
  | 'cut-pair'
  | 'cut-pair-one-way'
  | 'cut-members'
  | 'cut-all'
  | 'isolate'
  | 'store-down'
  | 'network-slow';

function disturbNetwork(world: World, kind: NetworkFault, id: string, other: string, fault: Fault): Mend {
  const { network, store } = world;
  const members = [...world.agents.keys()];
  const cut = (pairs: readonly (readonly [string, string])[]): Mend => {
    for (const [from, to] of pairs) network.cut(from, to);
    return () => {
      for (const [from, to] of pairs) network.heal(from, to);
    };
  };
  const bothWays = (a: string, b: string): readonly (readonly [string, string])[] => [
    [a, b],
    [b, a],
  ];
  const oneWay = (a: string, b: string): readonly (readonly [string, string])[] => (fault.forMs % 2 < 1 ? [[a, b]] : [[b, a]]);
  switch (kind) {
    case 'store-down':
      store.available = false;
      return () => {
        store.available = true;
      };
    case 'network-slow':
      network.slowMs = 10 + (fault.forMs % 60);
      return () => {
        network.slowMs = 0;
      };
    case 'cut-store':
      return cut(bothWays(id, STORE));
    case 'cut-store-one-way':
      return cut(oneWay(id, STORE));
    case 'cut-pair':
      return cut(bothWays(id, other));
    case 'cut-pair-one-way':
      return cut(oneWay(id, other));
    // One loses the others, and all of them still reach the store.
    case 'cut-members':
      return cut(members.filter(node => node !== id).flatMap(node => bothWays(id, node)));
    // Nobody reaches anybody but the store.
    case 'cut-all':
      return cut(members.flatMap(a => members.filter(b => a < b).flatMap(b => bothWays(a, b))));
    case 'isolate':
      return cut([STORE, ...world.agents.keys()].filter(node => node !== id).flatMap(node => bothWays(id, node)));
    default:
      return kind satisfies never;
  }
}

type Command = 'pause' | 'switchover' | 'failover' | 'accept-loss' | 'nofailover' | 'leave' | 'acks';

/** What an operator does, sensibly or not. */
function command(world: World, kind: Command, id: string, other: string, fault: Fault): Mend {
  const { store } = world;
  const { rule, durability } = store.state;
  if (rule === null) return null;
  const intent = { id: `${world.now}`, to: null, fromTerm: rule.term, atMs: world.now } as const;
  switch (kind) {
    case 'pause':
      store.change(state => ({ ...state, paused: { atMs: world.now } }));
      return () => resume(world);
    case 'switchover':
      world.routersDrained = fault.forMs % 3 < 2;
      store.change(state => ({ ...state, intent: { ...intent, kind: 'switchover', to: fault.forMs % 2 < 1 ? null : other } }));
      return null;
    case 'failover':
      store.change(state => ({ ...state, intent: { ...intent, kind: 'failover', acceptDataLoss: false } }));
      return null;
    case 'accept-loss':
      // An operator accepts a loss only when nobody leads.
      if (world.leader !== null) return null;
      world.accepted = true;
      store.change(state => ({ ...state, intent: { ...intent, kind: 'failover', acceptDataLoss: true } }));
      return null;
    case 'nofailover':
      store.change(state => withSpec(state, id, { nofailover: true }));
      return () => store.change(state => withSpec(state, id, { nofailover: false }));
    case 'leave':
      if (Object.keys(store.state.members).length < 3) return null;
      store.change(state => withSpec(state, id, { lifecycle: 'leaving' }));
      return null;
    case 'acks':
      if (durability.mode === 'quorum')
        store.change(state => ({ ...state, durability: { ...durability, acks: 1 + (Math.floor(fault.forMs) % 2) } }));
      return null;
    default:
      return kind satisfies never;
  }
}

function withSpec(
  state: World['store']['state'],
  id: string,
  change: Partial<World['store']['state']['members'][string]>,
): World['store']['state'] {
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
  world.healed = true;
  world.disturb([STORE, ...world.agents.keys()]);
  world.armed = [];
  world.network.healAll();
  world.store.available = true;
  for (const agent of world.agents.values()) {
    agent.postgres.setDisk('well');
    thaw(world, agent.id);
    thawAgent(world, agent.id);
    agent.start();
  }
  resume(world);
  for (const id of Object.keys(world.store.state.members)) {
    const stays = id === world.store.state.rule?.primary ? ({ lifecycle: 'member' } as const) : {};
    world.store.change(state => withSpec(state, id, { nofailover: false, ...stays }));
  }
}
