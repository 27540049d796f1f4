import type { ClusterState, MemberReport, ServerReport, Sight, WalPosition } from '../../src/cluster/index.ts';
import { parseFollowName, streamName } from '../../src/cluster/index.ts';
import type { Decision, View } from '../../src/failover/index.ts';
import { electionUnderWay } from '../../src/failover/index.ts';
import type { SimAgent } from './agent.ts';
import type { SimPostgres } from './postgres.ts';
import { FIRST_LSN, type WalRecord } from './wal.ts';

/** A deliberate fault in the brain, in the agent or in the model of PostgreSQL; the plain one has none. */
export class Mutation {
  readonly syncsPromise: boolean = true;
  readonly namesBeforePromotion: boolean = true;
  readonly settlesFirst: boolean = true;
  readonly hidesHalfClones: boolean = true;
  readonly cancelledCountsAsAcknowledged: boolean = false;

  /** What the brain is shown. */
  view(view: View, _agent: SimAgent): View {
    return view;
  }

  decisions(decisions: readonly Decision[], _view: View, _agent: SimAgent): readonly Decision[] {
    return decisions;
  }

  report(report: MemberReport, _agent: SimAgent): MemberReport {
    return report;
  }

  observe(postgres: SimPostgres): ServerReport {
    return postgres.observe();
  }

  /** Where a replica says its WAL ends while it still replays after a restart. */
  uncertainEnd(_end: WalPosition, _wal: readonly WalRecord[]): WalPosition | null {
    return null;
  }

  leaseSent(_agent: SimAgent, sentAtMs: number): number {
    return sentAtMs;
  }

  halfClone(_postgres: SimPostgres, _source: SimPostgres): void {}

  /** The state with which a standby cluster becomes one that takes writes. */
  promotion(state: ClusterState): ClusterState {
    return state;
  }
}

const withRule = (view: View, change: Partial<NonNullable<View['state']['rule']>>): View =>
  view.state.rule === null ? view : { ...view, state: { ...view.state, rule: { ...view.state.rule, ...change } } };

/** One promise is enough to elect. */
class OneRecruit extends Mutation {
  override view(view: View): View {
    const rule = view.state.rule;
    if (rule === null || !electionUnderWay(view.state) || rule.acks === 0) return view;
    return withRule(view, { acks: rule.cohort.length, before: [] });
  }
}

/** An election under a rule that is not established ignores the rules before it. */
class NoJointRules extends Mutation {
  override view(view: View): View {
    return electionUnderWay(view.state) ? withRule(view, { before: [] }) : view;
  }
}

/** The store follows a smaller cohort before its members hold all that was acknowledged. */
class NoBarrier extends Mutation {
  override view(view: View, agent: SimAgent): View {
    const names = agent.postgres.namesText;
    return { ...view, local: { ...view.local, namesInForceSince: { names, lsn: 0n } } };
  }
}

class PromoteBeforeNames extends Mutation {
  override readonly namesBeforePromotion: boolean = false;
}

/** A primary opens before its replicas hold what it shows. */
class OpenAtOnce extends Mutation {
  override view(view: View): View {
    const { rule } = view.state;
    const heard = view.members[view.self];
    if (rule === null || heard?.report.server.kind !== 'primary' || electionUnderWay(view.state) || view.local.open?.confirmed) return view;
    const { server } = heard.report;
    const sender = { state: 'streaming', sentLsn: null, writeLsn: null, flushLsn: 1n << 62n, replayLsn: null, syncPriority: 1 };
    const senders = rule.cohort.map(id => Object.assign({ applicationName: streamName(id, rule.term) }, sender));
    return {
      ...view,
      members: { ...view.members, [view.self]: { ...heard, report: { ...heard.report, server: { ...server, senders } } } },
    };
  }
}

class PromiseNotSynced extends Mutation {
  override readonly syncsPromise: boolean = false;
}

/** After a restart the receive position stands at the beginning of a segment, and is taken for the end of what is on disk. */
class ReceiveLsnAfterRestart extends Mutation {
  override uncertainEnd(end: WalPosition): WalPosition {
    return { ...end, lsn: end.lsn > FIRST_LSN + 2000n ? end.lsn - 2000n : FIRST_LSN };
  }
}

/** The lease is reckoned on the wall clock, which jumps. */
class WallClockLease extends Mutation {
  override view(view: View, agent: SimAgent): View {
    const { wallJumpMs } = agent;
    return { ...view, local: { ...view.local, leaseSentAtMs: view.local.leaseSentAtMs - Math.min(0, wallJumpMs) } };
  }
}

/** Positions are compared by LSN, whatever timeline they are on. */
class LsnOnly extends Mutation {
  override view(view: View): View {
    const { rule } = view.state;
    if (rule === null || !electionUnderWay(view.state)) return view;
    const members = Object.fromEntries(
      Object.entries(view.members).map(([id, heard]) => {
        const { server } = heard.report;
        if (server.kind !== 'replica' || server.walEnd === null) return [id, heard];
        const walEnd = { ...server.walEnd, timeline: rule.timeline };
        return [id, { ...heard, report: { ...heard.report, server: { ...server, walEnd } } }];
      }),
    );
    return { ...view, members };
  }
}

/** The leftovers of an unfinished clone look like a data directory. */
class HalfCloneElectable extends Mutation {
  override readonly hidesHalfClones: boolean = false;

  override halfClone(postgres: SimPostgres, source: SimPostgres): void {
    postgres.systemId = source.systemId;
    postgres.wal = source.wal.slice(0, Math.max(1, source.flushed >> 1));
    postgres.flushed = postgres.wal.length;
    postgres.timeline = source.timeline;
    postgres.history = source.history;
  }

  override observe(postgres: SimPostgres): ServerReport {
    if (postgres.data === 'partial' && postgres.wal.length > 0)
      return {
        kind: 'replica',
        timeline: postgres.timeline,
        history: postgres.history,
        receiveLsn: null,
        replayLsn: null,
        walEnd: { timeline: postgres.timeline, lsn: postgres.lsnAt(postgres.flushed), history: postgres.history },
        receiver: null,
        replayPaused: false,
        followsAs: null,
      };
    return postgres.observe();
  }

  override report(report: MemberReport): MemberReport {
    return { ...report, operation: null };
  }
}

/** Replicas that still stream do not keep anybody from calling their primary dead. */
class NoVeto extends Mutation {
  override view(view: View): View {
    const members = Object.fromEntries(
      Object.entries(view.members).map(([id, heard]) => {
        const { server } = heard.report;
        if (id === view.self || server.kind !== 'replica' || server.receiver === null) return [id, heard];
        return [
          id,
          { ...heard, report: { ...heard.report, server: { ...server, receiver: { ...server.receiver, lastMessageAgeMs: 1e6 } } } },
        ];
      }),
    );
    const self = members[view.self];
    if (self?.report.server.kind === 'replica' && self.report.server.receiver !== null) {
      const { server } = self.report;
      members[view.self] = {
        ...self,
        report: { ...self.report, server: { ...server, receiver: { ...server.receiver!, lastMessageAgeMs: 1e6 } } },
      };
    }
    return { ...view, members };
  }
}

/** PostgreSQL is changed while the outcome of a change of the store is not known. */
class ActsUnsettled extends Mutation {
  override readonly settlesFirst: boolean = false;
}

/** A member answers the recruit with its promise alone: it still streams, or still is a primary. */
class AnswersBeforeIsolation extends Mutation {
  override report(report: MemberReport): MemberReport {
    const { server } = report;
    if (
      server.kind === 'replica' &&
      server.walEnd !== null &&
      server.followsAs !== null &&
      (parseFollowName(server.followsAs)?.term ?? 0) < report.promisedTerm
    )
      return { ...report, server: { ...server, followsAs: null, receiver: null } };
    return report;
  }

  override decisions(decisions: readonly Decision[]): readonly Decision[] {
    return decisions.filter(({ action }) => action.kind !== 'isolate');
  }
}

/** A commit whose wait for replicas was cancelled is told to the client as done. */
class CancelledWaitAcknowledged extends Mutation {
  override readonly cancelledCountsAsAcknowledged: boolean = true;
}

/** Without acks nothing but the lease keeps a second primary away, and it is not heeded. */
class NoLeaseFence extends Mutation {
  override decisions(decisions: readonly Decision[], view: View): readonly Decision[] {
    return view.state.rule?.acks === 0 ? decisions.filter(({ action }) => action.kind !== 'fence') : decisions;
  }
}

const withSights = (view: View, change: (sight: Sight, others: readonly string[]) => Sight): View => ({
  ...view,
  members: Object.fromEntries(
    Object.entries(view.members).map(([id, heard]) => {
      const others = Object.keys(view.state.members).filter(each => each !== id);
      const { sight } = heard.report;
      return [id, sight ? { ...heard, report: { ...heard.report, sight: change(sight, others) } } : heard];
    }),
  ),
});

/** Replicas that hear nothing of their primary have lost it, whether they have a way to it or not. */
class SilenceIsEnough extends Mutation {
  override view(view: View): View {
    return withSights(view, (sight, others) => ({ ...sight, lost: others }));
  }
}

/** Who takes over from a primary that is not heard need not be reached by anybody. */
export class NobodyReachesIt extends Mutation {
  override view(view: View): View {
    return withSights(view, (sight, others) => ({ ...sight, reached: others }));
  }
}

/** A primary that is not heard is replaced however often it happens. */
export class HandsOverAgain extends Mutation {
  override view(view: View): View {
    const history = view.state.history.map(record =>
      record.trigger === 'primary-unheard' ? { ...record, trigger: 'operator' as const } : record,
    );
    return { ...view, state: { ...view.state, history } };
  }
}

/** A promoted cluster takes each of its members for one that holds all that the standby leader has received. */
export class AnyMemberHoldsAll extends Mutation {
  override promotion(state: ClusterState): ClusterState {
    const cohort = Object.keys(state.members).filter(id => id !== state.rule!.primary);
    return { ...state, rule: { ...state.rule!, cohort, acks: cohort.length } };
  }
}

export const MUTATIONS: Readonly<Record<string, new () => Mutation>> = {
  'one promise elects': OneRecruit,
  'rules before the present one are ignored': NoJointRules,
  'the store follows a smaller cohort without a barrier': NoBarrier,
  'promoted before its synchronous names are set': PromoteBeforeNames,
  'an older term counts before the new one is established': OpenAtOnce,
  'the promise is not synced': PromiseNotSynced,
  'receive LSN taken for the end after a restart': ReceiveLsnAfterRestart,
  'wall clock in the lease': WallClockLease,
  'LSNs compared across timelines': LsnOnly,
  'a half-cloned member is electable': HalfCloneElectable,
  'the veto of streaming replicas is ignored': NoVeto,
  'names are changed while a change of the store is unsettled': ActsUnsettled,
  'answered before isolated': AnswersBeforeIsolation,
  'a cancelled wait counts as acknowledged': CancelledWaitAcknowledged,
  'no fence when the lease ends': NoLeaseFence,
  'a primary that is not heard is replaced though there is a way to it': SilenceIsEnough,
};

export const NO_MUTATION: Mutation = new Mutation();
