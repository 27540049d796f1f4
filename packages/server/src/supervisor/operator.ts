import { randomUUID } from 'node:crypto';
import {
  type ClusterEvent,
  type ClusterState,
  type Intent,
  type MemberId,
  type MemberSpec,
  REPLICAS_MAX,
  type Settings,
  type SourceSpec,
  sourceText,
  UnderstudyError,
} from '@understudy/core/cluster';
import {
  followersMoved,
  type HeardReports,
  type Move,
  type PromotionVerdict,
  type PromotionWish,
  releaseRefusal,
  type RestartStep,
} from '@understudy/core/failover';
import type { Topology } from '@understudy/core/routing';
import type { ClusterFacade, OperationRequest, OperationResult, RestartRequest } from '../api/facade.ts';
import { ABOUT_A_PRIMARY } from '../api/plan.ts';
import { StatusSamples } from '../api/status-samples.ts';
import type { MemberStatus, StatusDocument, StatusSample } from '../api/types.ts';
import type { StatementSample } from '@understudy/core/routing';
import { withConnection } from '../postgres/connection.ts';
import type { TlsSources } from '../postgres/tls-files.ts';
import type { CurrentStore } from '../store/current.ts';
import { Tour } from '../tour/tour.ts';
import type { EventLog } from './event-log.ts';
import { type MemberMovePorts, moveMember } from './member-move.ts';
import { type MemberWish, newMember, nextMemberId } from './members.ts';
import { authority, choosePort } from './ports.ts';
import { RollingRestart } from './rolling-restart.ts';
import type { Secrets } from './secrets.ts';
import { demote, demotionRefusal, promote, requirePromotion, type StandbyPorts } from './standby-operations.ts';
import { examineSource, sourceOf, sourcePassword } from './standby-source.ts';

/** A change of the store that others get ahead of is tried again so many times. */
const CHANGE_ATTEMPTS = 20;
const POLL_MS = 20;
const CHECKPOINT_DEADLINE_MS = 60_000;

export interface OperatorPorts {
  readonly store: CurrentStore;
  readonly events: EventLog;
  readonly secrets: Secrets;
  readonly settings: Settings;
  /** Major version of the programs. */
  readonly major: number;
  /** This machine's certificate, where servers are on others; null: nothing there is encrypted. */
  readonly machineTls: TlsSources | null;
  /** Where clients connect. */
  readonly router: () => { readonly host: string; readonly port: number };
  /** Where a new member goes: on this machine, past the ports that are taken; or on a machine of its own, which a person must start. */
  readonly newMembers: { readonly where: 'here'; readonly takenPorts: () => readonly number[] } | { readonly where: 'elsewhere' };
  readonly status: () => StatusDocument;
  /** The newest reports of the members that were heard of lately. */
  readonly heard: () => HeardReports;
  readonly topology: () => Topology;
  readonly stop: () => void;
  readonly watchStatements: (listener: (sample: StatementSample) => void) => () => void;
}

/** What an operator asks for, put into the store; what becomes of it is decided by the agents, and waited for here. */
export class Operator implements ClusterFacade {
  readonly tour: Tour;
  readonly #ports: OperatorPorts;
  readonly #samples: StatusSamples;
  readonly #restarts: RollingRestart;

  constructor(ports: OperatorPorts) {
    this.#ports = ports;
    this.#samples = new StatusSamples(ports.status);
    this.#restarts = new RollingRestart({
      state: () => this.state(),
      heard: ports.heard,
      change: (next, reason) => this.#change(next, reason),
      until: (condition, what, limitMs, onLate) => this.#until(condition, what, limitMs, onLate),
      switchover: (to, timeoutMs) => this.#changePrimary({ kind: 'switchover', to }, timeoutMs),
      outcomeOf: id => this.#outcomeOf(id),
      withdraw: id => this.#withdraw(id),
      shortenShutdown: () => this.#shortenShutdown(),
    });
    this.tour = new Tour(this, ports.newMembers.where);
  }

  get newMembers(): 'here' | 'elsewhere' {
    return this.#ports.newMembers.where;
  }

  get token(): string {
    return this.#ports.secrets.token;
  }

  status(): StatusDocument {
    return this.#ports.status();
  }

  samples(): readonly StatusSample[] {
    return this.#samples.all;
  }

  /** Looks no more. */
  close(): void {
    this.#samples.stop();
  }

  state(): ClusterState {
    return this.#ports.store.current.state;
  }

  topology(): Topology {
    return this.#ports.topology();
  }

  eventsAfter(afterId: number, limit: number): readonly ClusterEvent[] {
    return this.#ports.events.after(afterId, limit);
  }

  subscribe(listener: (event: ClusterEvent) => void): () => void {
    return this.#ports.events.subscribe(listener);
  }

  watchStatements(listener: (sample: StatementSample) => void): () => void {
    return this.#ports.watchStatements(listener);
  }

  url(role: 'router' | 'primary' | 'replica'): string {
    const { secrets, router } = this.#ports;
    const at = role === 'router' ? router() : this.#memberOf(role);
    return `postgres://${secrets.superuserRole}:${encodeURIComponent(secrets.superuser)}@${authority(at.host, at.port)}/postgres`;
  }

  async perform(request: OperationRequest, timeoutMs: number): Promise<OperationResult> {
    this.#refuseInStandby(request);
    switch (request.kind) {
      case 'switchover':
      case 'failover':
        return this.#changePrimary(request, timeoutMs);
      case 'pause':
        await this.#change(state => ({ ...state, paused: state.paused ?? { atMs: Date.now() } }), 'An operator paused the cluster.');
        return this.#done('The cluster is paused: no automatic action is taken.');
      case 'resume':
        await this.#change(resumed, 'An operator resumed the cluster.');
        return this.#done('The cluster acts by itself again.');
      case 'add-replica':
        return this.#addReplica({ applyDelayMs: request.applyDelayMs ?? 0, follows: request.follows ?? null }, timeoutMs);
      case 'remove-replica':
        return this.#removeReplica(request.id, null, timeoutMs);
      case 'restart':
      case 'upgrade':
        return this.#restarts.run(request, timeoutMs);
      case 'move':
        return this.#move(request, timeoutMs);
      case 'release':
        return this.#release(timeoutMs);
      case 'promote':
        return promote(this.#standby, request, timeoutMs);
      case 'demote':
        return demote(this.#standby, sourceOf(request.standbyOf), timeoutMs);
      case 'shutdown':
        setImmediate(() => this.#ports.stop());
        return this.#done('The cluster is stopping.');
      default:
        return request satisfies never;
    }
  }

  restartSteps(request: RestartRequest): readonly RestartStep[] {
    return this.#restarts.foresee(request);
  }

  promotion(wish: PromotionWish): Extract<PromotionVerdict, { kind: 'ready' }> {
    return requirePromotion(this.state(), this.#ports.heard(), wish);
  }

  checkDemotion(standbyOf: string): void {
    if (this.state().paused) throw new UnderstudyError('cluster-paused');
    const why = demotionRefusal(this.state(), sourceOf(standbyOf));
    if (why !== null) throw new UnderstudyError('demotion-refused', { why });
  }

  get #standby(): StandbyPorts {
    return {
      state: () => this.state(),
      heard: this.#ports.heard,
      status: this.#ports.status,
      change: (next, reason) => this.#change(next, reason),
      until: (condition, what, limitMs) => this.#until(condition, what, limitMs),
      examine: (source, slot) => this.#examine(source, slot),
    };
  }

  /** By the eyes of this machine: the leader's own may see more, but what does not fit is seen from everywhere. */
  async #examine(source: SourceSpec, slot: string): Promise<void> {
    const { secrets, settings, machineTls, major } = this.#ports;
    const { systemId } = this.state();
    const password = sourcePassword(settings).source ?? secrets.replication;
    await examineSource(source, { password, tls: machineTls, needs: { systemId, major, limits: null, slot } });
  }

  /** What is about a primary is nothing for a cluster without one. */
  #refuseInStandby({ kind }: OperationRequest): void {
    const { standby } = this.state();
    if (standby && ABOUT_A_PRIMARY.has(kind))
      throw new UnderstudyError('standby-cluster', { source: sourceText(standby.source), what: kind });
  }

  #memberOf(role: 'primary' | 'replica'): MemberStatus {
    const { members, summary } = this.status();
    const found = members.find(m => m.role === role && m.state === 'running' && m.applyDelayMs === undefined);
    if (!found) throw new UnderstudyError('no-such-role', { role, why: summary });
    return found;
  }

  async #changePrimary(
    request: Extract<OperationRequest, { kind: 'switchover' | 'failover' }>,
    timeoutMs: number,
  ): Promise<OperationResult> {
    const id = randomUUID();
    let fromTerm = 0;
    if (request.kind === 'switchover') await this.#shortenShutdown();
    await this.#change(
      state => {
        const { rule } = state;
        if (!rule) throw new UnderstudyError('no-primary', { why: 'the cluster is being created' });
        if (state.paused) throw new UnderstudyError('cluster-paused');
        if (state.intent) throw new UnderstudyError('intent-pending', { kind: state.intent.kind });
        if (request.to !== null) this.#requireMember(state, request.to);
        if (request.to === rule.primary) throw new UnderstudyError('intent-refused', { why: `${request.to} is the primary already.` });
        fromTerm = rule.term;
        const base = { id, to: request.to, fromTerm, atMs: Date.now() };
        const intent: Intent =
          request.kind === 'switchover'
            ? { kind: 'switchover', ...base }
            : { kind: 'failover', acceptDataLoss: request.acceptDataLoss, ...base };
        return { ...state, intent };
      },
      `An operator asked for a ${request.kind}${request.to ? ` to ${request.to}` : ''}.`,
    );
    // That the wish is gone says nothing: the event, which comes a moment later from the agent that did it, says what became of it and why.
    let outcome: ClusterEvent | undefined;
    const hasNewTerm = ({ intent, rule }: ClusterState): boolean => intent?.id !== id && (rule?.term ?? 0) > fromTerm;
    await this.#until(
      () => (outcome = this.#outcomeOf(id)) !== undefined || hasNewTerm(this.state()),
      `The ${request.kind}`,
      timeoutMs,
      () => this.#withdraw(id),
    );
    if (outcome?.kind === 'intent-refused') throw new UnderstudyError('intent-refused', { why: outcome.message });
    await this.#until(() => this.status().primary !== null && this.status().verdict !== 'no-primary', 'An open primary', timeoutMs);
    const { primary, term } = this.status();
    return { message: `${primary} is the primary of term ${term}.`, member: primary, term };
  }

  #outcomeOf(intentId: string): ClusterEvent | undefined {
    const ends = ({ kind }: ClusterEvent): boolean => kind === 'intent-done' || kind === 'intent-refused';
    return this.#ports.events.after(0, Number.MAX_SAFE_INTEGER).findLast(event => ends(event) && event.inputs['intent'] === intentId);
  }

  /**
   * A checkpoint while clients still work leaves little for the one at shutdown, which they have to wait for. It only saves time: where it fails,
   * the switchover says by itself what is wrong.
   */
  async #shortenShutdown(): Promise<void> {
    const primary = this.status().members.find(m => m.role === 'primary');
    if (!primary || this.state().paused) return;
    const { host, port } = primary;
    const { superuserRole: user, superuser: password } = this.#ports.secrets;
    const endpoint = { host, port, user, password, tls: this.#ports.machineTls };
    await withConnection(endpoint, { deadlineMs: CHECKPOINT_DEADLINE_MS }, c => c.query('CHECKPOINT')).catch(() => undefined);
  }

  /** A wish that nobody has begun to fulfil is taken back when its time is over; one under way is left to end. */
  async #withdraw(id: string): Promise<void> {
    await this.#change(state => {
      const begun = state.proposal !== null && state.proposal.term > (state.rule?.term ?? 0);
      return state.intent?.id === id && !begun ? { ...state, intent: null } : state;
    }, 'The wish was not fulfilled in time and is withdrawn.');
  }

  async #addReplica(wish: MemberWish, timeoutMs: number): Promise<OperationResult> {
    const { id, port } = await this.#join(wish);
    const isReady = (): boolean =>
      this.status().members.some(m => m.id === id && m.role === 'replica' && m.state === 'running' && m.detail === null);
    await this.#until(isReady, `A running ${id}`, timeoutMs);
    return { message: `${id} follows ${wish.follows ?? 'the primary'} on port ${port}.`, member: id, term: this.status().term };
  }

  /** Puts a new member into the state. Another one that joins at the same moment may take the port that was found free: then the next is tried. */
  async #join(wish: MemberWish): Promise<MemberSpec> {
    const { settings, newMembers } = this.#ports;
    if (newMembers.where === 'elsewhere') throw new UnderstudyError('member-elsewhere');
    const portsOf = (state: ClusterState): readonly number[] => Object.values(state.members).map(m => m.port);
    for (let attempt = 0; attempt < CHANGE_ATTEMPTS; attempt++) {
      const taken = new Set([...newMembers.takenPorts(), ...portsOf(this.state())]);
      const port = await choosePort(settings.host, { port: settings.memberPort, explicit: false, flag: 'memberPort' }, taken);
      let added: MemberSpec | null = null;
      await this.#change(state => {
        if (state.paused) throw new UnderstudyError('cluster-paused');
        if (Object.keys(state.members).length > REPLICAS_MAX) throw new UnderstudyError('too-many-members', { limit: REPLICAS_MAX + 1 });
        added = portsOf(state).includes(port) ? null : newMember(nextMemberId(state), settings.host, port, wish);
        return added ? { ...state, members: { ...state.members, [added.id]: added } } : state;
      }, 'An operator asked for another replica.');
      if (added) return added;
    }
    throw new UnderstudyError('timed-out', { what: 'A change of the state', limitMs: 0 });
  }

  /** `successor`: who takes its place, for those that stream from it, too. */
  async #removeReplica(id: MemberId, successor: MemberId | null, timeoutMs: number): Promise<OperationResult> {
    await this.#change(state => {
      const spec = this.#requireMember(state, id);
      // The leader of a standby cluster is followed by another one, and then leaves like any member.
      const isFollowed = state.standby && Object.values(state.members).some(each => each.id !== id && each.lifecycle === 'member');
      if (state.rule?.primary === id && !isFollowed) throw new UnderstudyError('remove-primary', { id });
      if (state.paused) throw new UnderstudyError('cluster-paused');
      const members: ClusterState['members'] = { ...state.members, [id]: { ...spec, lifecycle: 'leaving' } };
      return { ...state, members: successor === null ? members : followersMoved(members, { from: id, to: successor }) };
    }, `An operator asked to remove ${id}.`);
    await this.#until(() => !this.state().members[id], `The removal of ${id}`, timeoutMs);
    return { message: `${id} was removed; its data is deleted.`, member: id, term: this.status().term };
  }

  async #move({ from, to }: Move, timeoutMs: number): Promise<OperationResult> {
    const { newMembers, heard } = this.#ports;
    if (newMembers.where === 'here') throw new UnderstudyError('no-other-machine', { id: from });
    if (this.state().paused) throw new UnderstudyError('cluster-paused');
    if (from === to) throw new UnderstudyError('bad-request', { why: 'a member cannot take its own place' });
    const ports: MemberMovePorts = {
      state: () => this.state(),
      heard,
      until: (condition, what, limitMs) => this.#until(condition, what, limitMs),
      switchover: (id, limitMs) => this.#changePrimary({ kind: 'switchover', to: id }, limitMs),
      remove: (id, limitMs) => this.#removeReplica(id, to, limitMs),
    };
    return await moveMember(ports, { from, to }, timeoutMs);
  }

  /** Asked again, it waits for the rest. */
  async #release(timeoutMs: number): Promise<OperationResult> {
    await this.#change(state => {
      if (state.released) return state;
      const refusal = this.#releaseRefusal(state);
      if (refusal) throw refusal;
      return { ...state, released: { atMs: Date.now(), done: [] } };
    }, 'An operator asked for the cluster to go on without Understudy.');
    const left = (): readonly MemberId[] => {
      const { members, released } = this.state();
      return Object.keys(members).filter(id => !released?.done.includes(id));
    };
    await this.#until(() => left().length === 0, `The release of all members (${left().join(', ')})`, timeoutMs);
    return this.#done(
      'The cluster is released: its servers go on as a plain primary and plain replicas, and the services of its members end.',
    );
  }

  releaseRefusal(): UnderstudyError | null {
    return this.#releaseRefusal(this.state());
  }

  #releaseRefusal(state: ClusterState): UnderstudyError | null {
    if (this.#ports.newMembers.where === 'here') return new UnderstudyError('release-here');
    if (state.paused) return new UnderstudyError('cluster-paused');
    if (state.intent) return new UnderstudyError('intent-pending', { kind: state.intent.kind });
    const why = releaseRefusal(state, this.#ports.heard());
    return why === null ? null : new UnderstudyError('release-refused', { why });
  }

  #requireMember(state: ClusterState, id: MemberId): ClusterState['members'][string] {
    const spec = state.members[id];
    if (!spec) throw new UnderstudyError('unknown-member', { id, members: Object.keys(state.members).join(', ') });
    return spec;
  }

  async #change(next: (state: ClusterState) => ClusterState, reason: string): Promise<void> {
    const { store, events } = this.#ports;
    for (let attempt = 0; attempt < CHANGE_ATTEMPTS; attempt++) {
      const before = store.current;
      const after = next(before.state);
      if (after === before.state) return;
      const result = await store.change(before.revision, after);
      if (result.kind === 'conflict') continue;
      events.appendChange(before.state, after, reason);
      return;
    }
    throw new UnderstudyError('timed-out', { what: 'A change of the state', limitMs: 0 });
  }

  async #until(condition: () => boolean, what: string, limitMs: number, onLate?: () => Promise<void>): Promise<void> {
    const end = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > end) {
        await onLate?.();
        throw new UnderstudyError('timed-out', { what, limitMs });
      }
      // A wait for something that may never come does not keep a supervisor that has stopped from ending.
      await new Promise(resolve => setTimeout(resolve, POLL_MS).unref());
    }
  }

  #done(message: string): OperationResult {
    return { message, member: null, term: this.state().rule?.term ?? null };
  }
}

/** A release that no member has done is taken back, too. */
function resumed(state: ClusterState): ClusterState {
  return { ...state, paused: null, released: state.released?.done.length === 0 ? undefined : state.released };
}
