import type { ClusterState, MemberId, MemberReport, Rule } from '../../src/cluster/index.ts';
import { lagBytes, parseFollowName } from '../../src/cluster/index.ts';
import type { Decision, View } from '../../src/failover/index.ts';
import { recruitOf } from '../../src/failover/index.ts';
import type { SimAgent } from './agent.ts';
import { ackSetOf, isNobody, type SimPostgres } from './postgres.ts';
import { STORE } from './network.ts';
import { endOf, holds, type WalRecord } from './wal.ts';
import type { World } from './world.ts';

export class Violation extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

interface Loss {
  /** Who alone held what was lost, and says so when it comes back. */
  readonly holder: MemberId;
  readonly term: number;
  readonly records: readonly WalRecord[];
  /** Where the winner's WAL ended. */
  readonly fromLsn: bigint;
}

/**
 * The invariants of the failover protocol, checked on what is really so, not on what anybody believes. Those of people's lists that are not here: the
 * router's (S9) is tested at the proxy; that diverged WAL is kept (S10), on real servers; that trouble heals or is named, and that nobody acts without need
 * (L1, L3 to L5), at the end of each run and by the scenarios.
 */
export class Checks {
  readonly #world: World;
  /** Acknowledged to a client, or shown as safe by an open primary. */
  acknowledged: WalRecord[] = [];
  acknowledgements = 0;
  failovers = 0;
  losses: Loss[] = [];
  #promotedTimelines = new Set<number>();
  #highestTimeline = 0;
  /** When the present term began by itself. */
  #beganByItselfAtMs = Number.NEGATIVE_INFINITY;
  /** When it began since the primary before it was not heard by its replicas. */
  #beganUnheardAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
  }

  #fail(code: string, message: string): never {
    throw new Violation(code, message);
  }

  /** S1, S4, S6, S12: what the store says, whenever it changes. */
  storeChanged(before: ClusterState, after: ClusterState, by: string): void {
    const [old, rule] = [before.rule, after.rule];
    this.#world.trace('store', describeState(after));
    if ((after.proposal?.term ?? 0) < (before.proposal?.term ?? 0)) this.#fail('S1', 'the proposed term fell');
    if (after.proposal !== null && after.proposal.term !== before.proposal?.term) this.#raised(after, by);
    if (rule === null || rule === old) return;
    if (old !== null && rule.term < old.term) this.#fail('S1', `term ${rule.term} after ${old.term}`);
    if (old !== null && rule.term === old.term) {
      if (rule.primary !== old.primary || rule.timeline !== old.timeline) this.#fail('S1', `two primaries in term ${rule.term}`);
      this.#sameTerm(old, rule);
      return;
    }
    if (rule.timeline <= this.#highestTimeline && old !== null) this.#fail('S1', `timeline ${rule.timeline} was given out before`);
    this.#highestTimeline = rule.timeline;
    if (old !== null) this.#elected(before, rule);
  }

  /** S5: and what was acknowledged so far is held by enough of the new cohort. */
  #sameTerm(old: Rule, rule: Rule): void {
    const primary = this.#world.servers.get(rule.primary)!;
    this.acknowledgingSets(primary);
    const last = this.acknowledged.findLast(record => holds(primary.wal, record));
    if (last && rule.acks > 0 && rule.established) {
      const holders = rule.cohort.filter(id => {
        const server = this.#world.servers.get(id)!;
        return server.data !== 'whole' || (holds(server.wal, last) && last.index < server.flushed);
      });
      if (holders.length < rule.acks)
        this.#fail(
          'S5',
          `the store says ${rule.acks} of ${rule.cohort.join(',')}, and only ${holders.join(',')} hold the last acknowledged write`,
        );
    }
    this.#world.occasion(rule.established === old.established ? 'cohort' : 'established');
  }

  #elected(before: ClusterState, rule: Rule): void {
    this.failovers++;
    this.#beganByItselfAtMs = before.proposal?.trigger.startsWith('primary-') ? this.#world.now : Number.NEGATIVE_INFINITY;
    this.#beganUnheardAtMs = before.proposal?.trigger === 'primary-unheard' ? this.#world.now : Number.NEGATIVE_INFINITY;
    if (before.proposal?.trigger === 'primary-unheard') this.#isBetterPlaced(before.rule!, rule);
    this.#world.occasion('election');
    const server = this.#world.servers.get(rule.primary)!;
    if (server.data !== 'whole') this.#fail('S8', `${rule.primary} was elected with half a clone`);
    const lost = this.acknowledged.filter(record => !holds(server.wal, record) || record.index >= server.flushed);
    if (lost.length === 0) return;
    const accepted = before.intent?.kind === 'failover' && before.intent.acceptDataLoss;
    const async = before.durability.mode === 'async' && before.rule!.acks === 0;
    if (!accepted && !async)
      this.#fail(
        'S4',
        `${rule.primary}, elected for term ${rule.term}, lacks ${lost.length} acknowledged writes, the first at ${lost[0]!.endLsn} of timeline ${lost[0]!.timeline}`,
      );
    this.acknowledged = this.acknowledged.filter(record => !lost.includes(record));
    if (async && !accepted) this.losses.push({ holder: before.rule!.primary, term: rule.term, records: lost, fromLsn: endOf(server.wal) });
  }

  /** U: who takes over from a primary that its replicas do not hear can be reached by as many as commits wait for. */
  #isBetterPlaced(old: Rule, { primary, term }: Rule): void {
    const { agents, network } = this.#world;
    const reach = [...agents.keys()].filter(
      id => id !== primary && id !== old.primary && (network.bothWays(id, primary) || network.unchangedMs(id, primary) < 3000),
    );
    if (reach.length < old.acks) this.#fail('U', `${primary} was elected for term ${term}, and only ${reach.length} members reach it`);
  }

  /** V: a primary is replaced since its replicas do not hear it, while enough of them have a way to it. */
  #unheard({ rule }: ClusterState, by: string): void {
    const { agents, servers, network } = this.#world;
    if (rule === null || !servers.get(rule.primary)?.leads) return;
    const able = rule.cohort.filter(
      id =>
        agents.get(id)!.well &&
        servers.get(id)!.alive &&
        network.bothWays(id, rule.primary) &&
        network.bothWays(id, STORE) &&
        Math.min(network.unchangedMs(id, rule.primary), network.unchangedMs(id, STORE)) > 3000,
    );
    if (able.length >= rule.acks) this.#fail('V', `${by} would replace ${rule.primary}, to which ${able.join(', ')} have a way`);
  }

  /** V: a primary is called lost while a replica that its caller can hear streams from it. */
  #raised(after: ClusterState, by: string): void {
    this.#notInCircles(after, by);
    if (after.proposal!.trigger === 'primary-unheard') this.#unheard(after, by);
    if (after.proposal!.trigger !== 'primary-lost' || after.rule === null) return;
    const world = this.#world;
    const primary = world.servers.get(after.rule.primary);
    if (!primary?.leads || primary.frozen) return;
    for (const [id, connection] of primary.connections) {
      const agent = world.agents.get(id)!;
      const steady =
        connection.replica.receiver === connection &&
        world.now - connection.replica.lastMessageAtMs < 300 &&
        world.now - connection.steadySinceMs > 1500;
      if (agent.well && steady && world.calmFor(id) && world.calmFor(by))
        this.#fail('V', `${by} called ${primary.id} lost while ${id} streams from it`);
    }
  }

  /** L2: no second failover soon after another while the primary still answers (of those for want of replicas: none after one of its kind). An agent that did not see the first begin goes by the wall clock. */
  #notInCircles({ proposal, rule }: ClusterState, by: string): void {
    const world = this.#world;
    const isUnheard = proposal!.trigger === 'primary-unheard';
    if ((proposal!.trigger !== 'primary-failing' && !isUnheard) || rule === null) return;
    const agent = world.agents.get(by)!;
    const sinceMs = world.now - (isUnheard ? this.#beganUnheardAtMs : this.#beganByItselfAtMs);
    const sawIt = agent.mono - agent.startedAtMs > 1.02 * sinceMs + 1000;
    const primary = world.servers.get(rule.primary)!;
    if (sawIt && primary.leads && !primary.frozen && sinceMs < 0.98 * world.config.flapBlockMs)
      this.#fail('L2', `${by} would replace ${rule.primary}, which answers, ${Math.round(sinceMs)} ms after the last failover`);
  }

  /** S4 again, at the moment that counts, and S1: no timeline is begun twice. */
  promoted(server: SimPostgres): void {
    this.#world.trace(server.id, `promoted to timeline ${server.timeline}`);
    if (this.#promotedTimelines.has(server.timeline)) this.#fail('S1', `timeline ${server.timeline} was begun twice, now by ${server.id}`);
    this.#promotedTimelines.add(server.timeline);
  }

  primaryRuns(server: SimPostgres): void {
    this.acknowledgingSets(server);
    const rule = this.#world.store.state.rule;
    if (rule === null || rule.primary !== server.id || rule.timeline !== server.timeline) return;
    const lost = this.acknowledged.find(record => !holds(server.wal, record));
    if (lost) this.#fail('S4', `${server.id} leads term ${rule.term} without the acknowledged write at ${lost.endLsn}`);
  }

  /** S5: every set that can acknowledge now meets every set that can elect. */
  acknowledgingSets(server: SimPostgres): void {
    const rule = this.#world.store.state.rule;
    if (rule === null || rule.acks === 0 || !server.leads || rule.primary !== server.id || rule.timeline !== server.timeline) return;
    const sets = [server.waitsFor, ...[...server.connections.values()].map(connection => connection.set)]
      .filter(set => !isNobody(set))
      .map(ackSetOf);
    if (sets.length === 0) return;
    const acks = Math.min(...sets.map(set => set.acks));
    const members = new Set(sets.flatMap(set => set.cohort));
    const strangers = [...members].filter(id => !rule.cohort.includes(id)).length;
    if (acks - strangers < rule.acks)
      this.#fail(
        'S5',
        `${server.id} may acknowledge with ${acks} of ${[...members].join(',')}, while the store has ${rule.acks} of ${rule.cohort.join(',')}`,
      );
  }

  /** S3: a client was told that this is committed. */
  acknowledge(record: WalRecord, server: SimPostgres, guarded: boolean): void {
    this.acknowledgements++;
    const rule = this.#world.store.state.rule!;
    const leads = rule.primary === server.id && rule.timeline === server.timeline;
    const leader = this.#world.servers.get(rule.primary)!;
    if (!leads && rule.timeline > server.timeline && !holds(leader.wal, record)) {
      const agent = this.#world.agents.get(server.id)!;
      const starts = agent.mono - agent.startedAtMs < this.#world.config.leaseMs + 300;
      const blind = !agent.well || starts || this.#world.now - agent.thawedAtMs < 250 || this.#world.accepted;
      if (guarded || !blind)
        this.#fail('S3', `${server.id} of timeline ${server.timeline} acknowledged a write while ${rule.primary} leads term ${rule.term}`);
      return;
    }
    this.acknowledged.push(record);
  }

  /** S4: what an open primary shows must never be lost. */
  confirmed(agent: SimAgent): void {
    const { wal } = agent.postgres;
    const rule = this.#world.store.state.rule!;
    if (rule.primary !== agent.id || rule.timeline !== agent.postgres.timeline) return;
    const upTo = Math.min(agent.openIndex, agent.postgres.flushed);
    for (let i = Math.max(0, upTo - 20); i < upTo; i++) this.acknowledged.push(wal[i]!);
  }

  /** S7: who has answered an election acknowledges nothing for an older term. */
  replies(replica: SimPostgres, applicationName: string): void {
    const term = parseFollowName(applicationName)?.term ?? 0;
    const { answeredTerm } = this.#world.agents.get(replica.id)!;
    if (answeredTerm > term) this.#fail('S7', `${applicationName} acknowledges after it answered term ${answeredTerm}`);
  }

  /** S2: a promise is on disk before anybody hears of it, and is never taken back. */
  published(agent: SimAgent, report: MemberReport): void {
    if (report.promisedTerm < agent.publishedPromise)
      this.#fail('S2', `${agent.id} promised ${agent.publishedPromise}, and now ${report.promisedTerm}`);
    agent.publishedPromise = report.promisedTerm;
    if (recruitOf(report, report.promisedTerm) !== null) agent.answeredTerm = Math.max(agent.answeredTerm, report.promisedTerm);
    else if (report.server.kind === 'replica' && report.server.followsAs !== null)
      agent.answeredTerm = Math.min(agent.answeredTerm, report.promisedTerm);
  }

  /** S8: nothing is wiped or rewound unless the leader of a term holds all that was acknowledged. */
  destroys(agent: SimAgent, primary: MemberId): void {
    const server = this.#world.servers.get(primary)!;
    if (!server.leads) this.#fail('S8', `${agent.id} gives up its data while ${primary} leads nothing`);
    const own = this.acknowledged.find(record => holds(agent.postgres.wal, record) && !holds(server.wal, record));
    if (own) this.#fail('S8', `${agent.id} gives up the acknowledged write at ${own.endLsn} that ${primary} lacks`);
  }

  streams(prefix: boolean, primary: SimPostgres, replica: SimPostgres): void {
    if (!prefix) this.#fail('corrupt', `${replica.id} took WAL of ${primary.id} on top of a different history`);
  }

  /** S11: paused means no automatic action. */
  decided(view: View, decisions: readonly Decision[]): void {
    if (view.state.paused === null) return;
    for (const { action } of decisions) {
      const refusal =
        action.kind === 'change-store' &&
        action.next.intent === null &&
        action.next.rule === view.state.rule &&
        action.next.proposal === view.state.proposal;
      const second = action.kind === 'fence' && view.state.rule?.primary !== view.self;
      if (!refusal && !second && action.kind !== 'alarm') this.#fail('S11', `${view.self} does ${action.kind} while paused`);
    }
  }

  /** S12: at the end, each asynchronous loss stands in the history, to the byte, unless the old primary was elected again with all it had. */
  atEnd(): void {
    const { history, members } = this.#world.store.state;
    const { leader } = this.#world;
    for (const { holder, term, records, fromLsn } of this.losses) {
      const last = records.findLast(record => leader !== null && !holds(leader.wal, record));
      if (last === undefined || members[holder] === undefined) continue;
      const bytes = lagBytes(last.endLsn, fromLsn);
      const reported = history.find(record => record.term === term)?.lostBytes ?? 0;
      if (reported < bytes) this.#fail('S12', `term ${term} lost ${bytes} bytes, and ${reported} were reported`);
    }
  }
}

function describeState({ rule, proposal, intent, paused }: ClusterState): string {
  const r =
    rule &&
    `term ${rule.term} ${rule.primary} [${rule.cohort.join(',')}] acks ${rule.acks} tl ${rule.timeline}${rule.established ? '' : ' not established'}`;
  return `${r} proposal ${proposal?.term}${intent ? ` ${intent.kind}` : ''}${paused ? ' paused' : ''}`;
}
