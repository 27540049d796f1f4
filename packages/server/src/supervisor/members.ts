import type { ClusterState, Durability, MemberId, MemberSpec } from '@understudy/core/cluster';
import type { Settings } from '@understudy/core/cluster';

/** What an operator may say of a member when it is made. */
export type MemberWish = Pick<MemberSpec, 'applyDelayMs' | 'follows'>;

const PLAIN_MEMBER: MemberWish = { applyDelayMs: 0, follows: null };

/** A delayed replica is there for what was deleted by mistake: it takes reads only where somebody says so. */
export function defaultReadWeight(applyDelayMs: number): number {
  return applyDelayMs > 0 ? 0 : 100;
}

/** A member as `up` and `replica add` make it. */
export function newMember(id: MemberId, host: string, port: number, wish: MemberWish = PLAIN_MEMBER): MemberSpec {
  const readWeight = defaultReadWeight(wish.applyDelayMs);
  return { id, host, port, priority: 100, nofailover: false, nosync: false, ...wish, zone: null, readWeight, lifecycle: 'member' };
}

/** n1, n2, …: one above the highest number ever used among the present members, so that a name is not given to another soon after. */
export function nextMemberId(state: ClusterState): MemberId {
  const numbers = Object.keys(state.members).map(id => Number(/^n(\d+)$/.exec(id)?.[1] ?? 0));
  return `n${Math.max(0, ...numbers) + 1}`;
}

export function durabilityOf(settings: Settings): Durability {
  const { durability: mode, acks, whenAlone, acksFrom, maxLossBytes } = settings;
  return { mode, acks, whenAlone, acksFrom, maxLossBytes };
}

/** A cluster before its first member exists. */
export function initialState(name: string, members: readonly MemberSpec[], durability: Durability): ClusterState {
  return {
    schema: 1,
    name,
    systemId: null,
    proposal: null,
    rule: null,
    members: Object.fromEntries(members.map(member => [member.id, member])),
    intent: null,
    paused: null,
    durability,
    history: [],
  };
}
