import {
  type ClusterEvent,
  type ClusterState,
  type EventKind,
  formatLsn,
  type MemberId,
  type TermRecord,
  UnderstudyError,
} from '@understudy/core/cluster';
import type { ClusterFacade, OperationRequest, OperationResult, TourDoor } from '../../server/src/api/facade.ts';
import type { MemberStatus, StatusDocument } from '../../server/src/api/types.ts';

/** A member as a scenario has it. */
export interface FakeMember {
  role: MemberStatus['role'];
  state: MemberStatus['state'];
  timeline: number | null;
  /** WAL that it lacks, and how long it would take. */
  lagBytes: number;
  lagMs: number;
  inCohort: boolean;
  detail: string | null;
  /** Its share of the reads. */
  weight: number;
  applyDelayMs?: MemberStatus['applyDelayMs'];
  cascade?: MemberStatus['cascade'];
}

/**
 * FOR DEVELOPMENT ONLY: a cluster that does not exist, so that the page can be looked at in states that are hard to bring about. It stands
 * where the supervisor does, behind the real HTTP API. Nothing that it shows was measured.
 */
export class FakeCluster implements ClusterFacade {
  readonly token = 'dev';
  readonly newMembers = 'here';
  readonly members = new Map<MemberId, FakeMember>();
  term = 3;
  primary: MemberId | null = 'n1';
  paused = false;
  clients = 24;
  readRate = 1480;
  writeRate = 15;
  held = 0;
  lsn = 0x3_0040_0060n;
  alarms: { member: MemberId; code: string; message: string }[] = [];
  readonly #now: () => number;
  readonly #events: ClusterEvent[] = [];
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  readonly #reads = new Map<MemberId, number>();
  #writes = 4210;

  constructor(now: () => number) {
    this.#now = now;
    for (const id of ['n1', 'n2', 'n3']) this.members.set(id, healthyReplica());
    this.lead('n1', 2);
  }

  /** Makes a member the primary of the present term, the others its replicas. */
  lead(id: MemberId, timeline: number): void {
    this.primary = id;
    for (const [other, member] of this.members) {
      if (member.state !== 'running') continue;
      Object.assign(member, healthyReplica(), { timeline, role: other === id ? 'primary' : 'replica', inCohort: other !== id });
    }
  }

  emit(kind: EventKind, message: string, details: { member?: MemberId; agoMs?: number; inputs?: ClusterEvent['inputs'] } = {}): void {
    const { member = null, agoMs = 0, inputs = {} } = details;
    const event = { id: this.#events.length + 1, atMs: this.#now() - agoMs, kind, member, term: this.term, message, inputs };
    this.#events.push(event);
    for (const listener of this.#listeners) listener(event);
  }

  /** Lets traffic flow for so long. */
  flow(ms: number): void {
    if (this.primary === null) return;
    const wobble = 0.85 + 0.3 * Math.abs(Math.sin(this.#now() / 9000)) + 0.08 * Math.sin(this.#now() / 700);
    this.#writes += Math.round((this.writeRate * wobble * ms) / 1000);
    this.lsn += BigInt(Math.round((this.writeRate * wobble * ms * 640) / 1000));
    const readers = [...this.members].filter(([, member]) => member.role === 'replica' && member.state === 'running');
    const weights = readers.reduce((sum, [, member]) => sum + member.weight, 0);
    for (const [id, member] of readers) {
      const reads = (this.readRate * wobble * ms * member.weight) / 1000 / weights;
      this.#reads.set(id, (this.#reads.get(id) ?? 0) + Math.round(reads));
    }
    this.#reads.set(this.primary, (this.#reads.get(this.primary) ?? 0) + Math.round((this.readRate * ms * 0.004) / 1000));
  }

  restartSteps(): readonly [] {
    return [];
  }

  status(): StatusDocument {
    const cohort = [...this.members].filter(([, member]) => member.inCohort).map(([id]) => id);
    const acks = cohort.length > 0 ? 1 : 0;
    const well = [...this.members.values()].every(member => member.state === 'running' && member.role !== 'none');
    const verdict = this.primary === null ? 'no-primary' : well && acks > 0 ? 'healthy' : 'degraded';
    return {
      schema: 1,
      cluster: 'main',
      verdict,
      summary: this.#summary(verdict, acks),
      term: this.term,
      primary: this.primary,
      paused: this.paused,
      durability: { mode: 'quorum', acks, cohort, protected: acks > 0 },
      endpoints: { router: 'postgres://app@127.0.0.1:5432/postgres', http: 'http://127.0.0.1:8008' },
      members: [...this.members].map(([id, member], i) => this.#memberStatus(id, member, i)),
      router: { clients: this.clients, reads: Object.fromEntries(this.#reads), writes: this.#writes, held: this.held, pid: 4100 },
      alarms: this.alarms,
      supervisorPid: 4000,
      dataDirectory: '/var/lib/example',
    };
  }

  state(): ClusterState {
    const history = [
      this.#record(1, 'n1', 'bootstrap', 'The cluster was created.', 7_400_000),
      this.#record(2, 'n2', 'switchover', 'An operator asked for n2.', 4_100_000),
    ];
    return {
      schema: 1,
      name: 'main',
      systemId: null,
      proposal: null,
      rule: null,
      members: {},
      intent: null,
      paused: null,
      durability: { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
      history,
    };
  }

  eventsAfter(afterId: number, limit: number): readonly ClusterEvent[] {
    return afterId === 0 ? this.#events.slice(-limit) : this.#events.filter(event => event.id > afterId).slice(0, limit);
  }

  subscribe(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Set by the scenarios: what an operation does here. */
  onOperation: (request: OperationRequest) => Promise<OperationResult> = () => {
    throw new UnderstudyError('intent-refused', { why: 'This cluster is a picture only.' });
  };

  perform(request: OperationRequest): Promise<OperationResult> {
    return this.onOperation(request);
  }

  readonly tour: TourDoor = pictureOfTour();

  watchStatements(): () => void {
    return () => undefined;
  }

  url(): string {
    return 'postgres://app:secret@127.0.0.1:5432/postgres';
  }

  #record(term: number, primary: MemberId, trigger: TermRecord['trigger'], reason: string, agoMs: number): TermRecord {
    const raisedAtMs = this.#now() - agoMs;
    const times = { raisedAtMs, electedAtMs: raisedAtMs + 38, promotedAtMs: raisedAtMs + 171, establishedAtMs: raisedAtMs + 204 };
    return { term, primary, timeline: term, trigger, reason, detectMs: trigger === 'bootstrap' ? null : 0, ...times, lostBytes: 0 };
  }

  #memberStatus(id: MemberId, member: FakeMember, index: number): MemberStatus {
    const alive = member.state === 'running';
    const at = (behind: number): string | null => (alive ? formatLsn(this.lsn - BigInt(behind)) : null);
    return {
      id,
      role: member.role,
      state: member.state,
      host: '127.0.0.1',
      port: 5433 + index,
      postmasterPid: alive ? 4200 + index : null,
      timeline: member.timeline,
      receiveLsn: at(Math.round(member.lagBytes * 0.2)),
      replayLsn: at(member.lagBytes),
      lagBytes: alive ? member.lagBytes : null,
      lagMs: alive ? member.lagMs : null,
      inCohort: member.inCohort,
      applyDelayMs: member.applyDelayMs,
      cascade: member.cascade,
      detail: member.detail,
      agentPid: 4300 + index,
    };
  }

  #summary(verdict: StatusDocument['verdict'], acks: number): string {
    const protection =
      acks > 0 ? 'every commit is on 2 servers before it is acknowledged' : 'WRITES ARE NOT PROTECTED: no replica has to acknowledge them';
    if (verdict === 'no-primary') return `No primary: term ${this.term} is being decided.`;
    const replicas = [...this.members.values()].filter(member => member.role === 'replica' && member.state === 'running').length;
    const troubles = [...this.members].filter(([, m]) => m.state !== 'running').map(([id, m]) => `${id} is ${m.detail ?? m.state}`);
    const lead = `${this.primary} is the primary of term ${this.term} with ${replicas} replica${replicas === 1 ? '' : 's'}`;
    return `${[lead, ...troubles, protection].join('; ')}.`;
  }
}

export function healthyReplica(): FakeMember {
  return { role: 'replica', state: 'running', timeline: 2, lagBytes: 0, lagMs: 0, inCohort: true, detail: null, weight: 1 };
}

function pictureOfTour(): TourDoor {
  const refuse = (): never => {
    throw new UnderstudyError('intent-refused', { why: 'This cluster is a picture only.' });
  };
  return { document: () => ({ state: 'off', workload: null, chapters: [] }), start: refuse, play: refuse, stop: refuse };
}
