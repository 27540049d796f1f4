import { choose, type ReplicaState, type RouterView, type SessionCausality } from '@understudy/core/routing';

export type Chosen =
  | { readonly kind: 'replica'; readonly replica: ReplicaState }
  | { readonly kind: 'primary' }
  | { readonly kind: 'wait'; readonly for: 'probe' | 'replay' };

/** Chooses a server for a read of a session that must not see less than `seen`. */
export interface Policy {
  choose(session: SessionCausality, seen: bigint, waitedMs: number, nowMs: number): Chosen;
}

export const POLICY_NAMES = ['understudy', 'random', 'round-robin', 'least-connections'] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/**
 * The others are told, for nothing, what Understudy must find out: which replicas are fresh enough for the session, so that only the balance is compared.
 * They wait as long as it takes.
 */
export const POLICIES: Readonly<Record<PolicyName, (view: RouterView, random: () => number) => Policy>> = {
  understudy: (view, random) => ({
    choose(session, _seen, waitedMs, nowMs): Chosen {
      const choice = choose(view, { demand: 'replica', wish: 'auto', level: { kind: 'session' }, waitedMs }, session, nowMs, random);
      switch (choice.kind) {
        case 'replica':
          return choice;
        case 'primary':
          return { kind: 'primary' };
        case 'wait-probe':
          return { kind: 'wait', for: 'probe' };
        case 'wait-replay':
        case 'hold':
          return { kind: 'wait', for: 'replay' };
        case 'error':
          throw new Error(choice.reason);
        default:
          return choice satisfies never;
      }
    },
  }),
  random: (view, random) => firstFresh(view, () => Math.floor(random() * view.candidates.length)),
  'round-robin': view => {
    let turn = 0;
    return firstFresh(view, () => turn++ % view.candidates.length);
  },
  'least-connections': view => ({
    choose(_session, seen): Chosen {
      let best: ReplicaState | null = null;
      for (const replica of view.candidates) {
        if (replica.position.lsn >= seen && (best === null || replica.inFlight < best.inFlight)) best = replica;
      }
      return best === null ? { kind: 'wait', for: 'replay' } : { kind: 'replica', replica: best };
    },
  }),
};

/** The first fresh one among those that are proposed. */
function firstFresh({ candidates }: RouterView, propose: () => number): Policy {
  return {
    choose(_session, seen): Chosen {
      for (let i = 0; i < candidates.length; i++) {
        const replica = candidates[propose()] as ReplicaState;
        if (replica.position.lsn >= seen) return { kind: 'replica', replica };
      }
      return { kind: 'wait', for: 'replay' };
    },
  };
}
