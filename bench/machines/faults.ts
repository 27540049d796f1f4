import type { Network } from '../../test/machines/network.ts';

/** What becomes of the primary's machine, by name and in the words of the table. */
export const FAULT_TEXTS = {
  lost: "the primary's machine is gone: no process, no packet",
  'lost-with-store': "the primary's machine is gone, and the leader of etcd with it",
  'cut-off': "the primary's machine is cut off from all others",
  'cut-from-replicas': 'the primary is cut off from its replicas only',
  'cannot-send': "what the primary's machine sends is lost",
  'cannot-hear': "what is sent to the primary's machine is lost",
} as const;

export type MachineFault = keyof typeof FAULT_TEXTS;

export function isMachineFault(name: string): name is MachineFault {
  return Object.hasOwn(FAULT_TEXTS, name);
}

/** Where the machines are on which a fault works. */
export interface Scene {
  readonly primary: string;
  /** The other members. */
  readonly replicas: readonly string[];
  readonly etcdLeader: string;
}

/** Whose processes are gone then, and have to be started again. */
export function lostBy(fault: MachineFault, { primary, etcdLeader }: Scene): readonly string[] {
  if (fault === 'lost') return [primary];
  return fault === 'lost-with-store' ? [primary, etcdLeader] : [];
}

/** Packets vanish without a trace, also those of open connections. */
export function inflict(network: Network, fault: MachineFault, scene: Scene): void {
  const { primary, replicas } = scene;
  switch (fault) {
    case 'lost':
    case 'lost-with-store':
      for (const host of lostBy(fault, scene)) network.cut(host, 'all');
      for (const host of lostBy(fault, scene)) network.signalAll(host, 'SIGKILL');
      return;
    case 'cut-off':
      return network.cut(primary, 'all');
    case 'cut-from-replicas':
      return network.cut(primary, replicas);
    case 'cannot-send':
      return network.cut(primary, 'all', 'out');
    case 'cannot-hear':
      return network.cut(primary, 'all', 'in');
    default:
      return fault satisfies never;
  }
}
