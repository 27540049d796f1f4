import type { Machines } from './machines.ts';

/** What a fault works on: addresses of the machines at that moment. */
interface Scene {
  readonly primary: string;
  readonly replicas: readonly string[];
}

export interface NetworkFault {
  /** Whether another primary is to be expected: where the old one still has its replicas, none is. */
  readonly demotes: boolean;
  /** How long it lasts; long enough for everybody to notice, and for everything that must not happen to happen. */
  readonly lastsMs: number;
  begin(machines: Machines, scene: Scene): void;
  end(machines: Machines, scene: Scene): void;
}

const LASTS_MS = 12_000;

function cutting(demotes: boolean, cut: (machines: Machines, scene: Scene) => void): NetworkFault {
  const end: NetworkFault['end'] = ({ network, etcd, members, proxies }) => {
    for (const address of [...etcd, ...members, ...proxies]) network.heal(address);
  };
  return { demotes, lastsMs: LASTS_MS, begin: cut, end };
}

const losing = (which: (machines: Machines, scene: Scene) => readonly string[], demotes: boolean): NetworkFault => ({
  demotes,
  lastsMs: LASTS_MS,
  begin: (machines, scene) => {
    for (const address of which(machines, scene)) machines.lose(address);
  },
  end: (machines, scene) => {
    for (const address of which(machines, scene)) machines.bringBack(address);
  },
});

/** Everything that is done to the machines, by name. */
export const FAULTS = {
  'primary-lost': losing((_, { primary }) => [primary], true),
  'primary-cut-off': cutting(true, ({ network }, { primary }) => network.cut(primary, 'all')),
  'primary-cut-from-etcd': cutting(false, ({ network, etcd }, { primary }) => network.cut(primary, etcd)),
  'primary-cut-from-replicas': cutting(true, ({ network }, { primary, replicas }) => network.cut(primary, replicas)),
  'primary-cannot-send': cutting(true, ({ network }, { primary }) => network.cut(primary, 'all', 'out')),
  'primary-cannot-hear': cutting(true, ({ network }, { primary }) => network.cut(primary, 'all', 'in')),
  'replica-cut-off': cutting(false, ({ network }, { replicas }) => network.cut(replicas[0]!, 'all')),
  'etcd-minority-lost': losing(({ etcd }) => etcd.slice(0, 1), false),
  'etcd-majority-lost': losing(({ etcd }) => etcd.slice(0, 2), false),
  'etcd-split': cutting(false, ({ network, etcd }) => network.cut(etcd[0]!, etcd.slice(1))),
  'five-percent-lost': cutting(false, ({ network, members }) => {
    for (const member of members) network.lose(member, 5);
  }),
} as const satisfies Record<string, NetworkFault>;

export type FaultName = keyof typeof FAULTS;
