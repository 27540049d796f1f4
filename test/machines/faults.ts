import type { Machines } from './machines.ts';

/** What a fault works on: addresses of the machines at that moment. */
interface Scene {
  readonly primary: string;
  readonly replicas: readonly string[];
}

export interface NetworkFault {
  /** Whether another primary is to be expected: where the old one still has its replicas, none is; what is slow at random may be taken for lost. */
  readonly demotes: 'yes' | 'no' | 'perhaps';
  /** How long it lasts; long enough for everybody to notice, and for everything that must not happen to happen. */
  readonly lastsMs: number;
  /** What it takes beyond a network. */
  readonly needs: 'nothing' | 'own-clocks';
  begin(machines: Machines, scene: Scene): void | Promise<void>;
  end(machines: Machines, scene: Scene): void | Promise<void>;
}

const LASTS_MS = 12_000;
const HOUR_MS = 3_600_000;
const POSTGRES_PORT = 5433;
const ETCD_PORT = 2379;

type Demotes = NetworkFault['demotes'];

function cutting(demotes: Demotes, cut: (machines: Machines, scene: Scene) => void): NetworkFault {
  const end: NetworkFault['end'] = ({ network, etcd, members, proxies }) => {
    for (const address of [...etcd, ...members, ...proxies]) network.heal(address);
  };
  return { demotes, lastsMs: LASTS_MS, needs: 'nothing', begin: cut, end };
}

const losing = (which: (machines: Machines, scene: Scene) => readonly string[], demotes: Demotes): NetworkFault => ({
  demotes,
  lastsMs: LASTS_MS,
  needs: 'nothing',
  begin: (machines, scene) => {
    for (const address of which(machines, scene)) machines.lose(address);
  },
  end: (machines, scene) => {
    for (const address of which(machines, scene)) machines.bringBack(address);
  },
});

/** Each way between the members, and between them and etcd. */
function slowing(demotes: Demotes, delayMs: number, lossPercent: number): NetworkFault {
  return {
    demotes,
    lastsMs: LASTS_MS,
    needs: 'nothing',
    begin: async ({ network, members, etcd }) => {
      for (const member of members) {
        await network.delay(member, [...members, ...etcd], [POSTGRES_PORT, ETCD_PORT], delayMs);
        network.lose(member, lossPercent);
      }
    },
    end: async ({ network, members }) => {
      for (const member of members) {
        await network.undelay(member);
        network.heal(member);
      }
    },
  };
}

/** Hours by which the clocks of machines are set, and set right again in the end. */
function setting(
  demotes: Demotes,
  hours: (scene: Scene) => Readonly<Record<string, number>>,
  also: NetworkFault | null = null,
): NetworkFault {
  const set = ({ clocks }: Machines, scene: Scene, share: 0 | 1): void => {
    for (const [address, ahead] of Object.entries(hours(scene))) clocks?.set(address, ahead * share * HOUR_MS);
  };
  return {
    demotes,
    lastsMs: LASTS_MS,
    needs: 'own-clocks',
    begin: async (machines, scene) => {
      set(machines, scene, 1);
      await also?.begin(machines, scene);
    },
    end: async (machines, scene) => {
      set(machines, scene, 0);
      await also?.end(machines, scene);
    },
  };
}

const PRIMARY_LOST = losing((_, { primary }) => [primary], 'yes');

/** Everything that is done to the machines, by name. */
export const FAULTS = {
  'primary-lost': PRIMARY_LOST,
  'primary-cut-off': cutting('yes', ({ network }, { primary }) => network.cut(primary, 'all')),
  'primary-cut-from-etcd': cutting('no', ({ network, etcd }, { primary }) => network.cut(primary, etcd)),
  // All of them still reach the store, and the replicas each other.
  'primary-cut-from-replicas': cutting('yes', ({ network }, { primary, replicas }) => network.cut(primary, replicas)),
  // It still reaches the store, by which its replicas leave its cohort: then it goes on alone (whenAlone: continue).
  'members-cut-from-each-other': cutting('no', ({ network }, { primary, replicas }) => {
    network.cut(primary, replicas);
    network.cut(replicas[0]!, replicas.slice(1));
  }),
  'primary-cannot-send': cutting('yes', ({ network }, { primary }) => network.cut(primary, 'all', 'out')),
  'primary-cannot-hear': cutting('yes', ({ network }, { primary }) => network.cut(primary, 'all', 'in')),
  'replica-cut-off': cutting('no', ({ network }, { replicas }) => network.cut(replicas[0]!, 'all')),
  'etcd-minority-lost': losing(({ etcd }) => etcd.slice(0, 1), 'no'),
  'etcd-majority-lost': losing(({ etcd }) => etcd.slice(0, 2), 'no'),
  'etcd-split': cutting('no', ({ network, etcd }) => network.cut(etcd[0]!, etcd.slice(1))),
  'five-percent-lost': cutting('perhaps', ({ network, members }) => {
    for (const member of members) network.lose(member, 5);
  }),
  'slow-and-lossy': slowing('perhaps', 100, 5),
  'clock-of-primary-forward': setting('no', ({ primary }) => ({ [primary]: 1 })),
  'clock-of-primary-back': setting('no', ({ primary }) => ({ [primary]: -1 })),
  'clocks-of-replicas-apart': setting('no', ({ replicas }) => ({ [replicas[0]!]: 1, [replicas[1]!]: -1 })),
  'primary-lost-as-clocks-go-back': setting('yes', ({ replicas }) => Object.fromEntries(replicas.map(each => [each, -1])), PRIMARY_LOST),
} as const satisfies Record<string, NetworkFault>;

export type FaultName = keyof typeof FAULTS;

export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}

/** Whether what happened is what was to be expected. */
export function isExpected(fault: FaultName, termsPassed: number): boolean {
  const { demotes }: NetworkFault = FAULTS[fault];
  return demotes === 'perhaps' || (demotes === 'yes') === termsPassed > 0;
}
