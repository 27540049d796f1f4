import { type ClusterEvent, type ClusterState, type EventKind, type TermRecord, UnderstudyError } from '@understudy/core/cluster';
import type { PromotionVerdict, RestartStep } from '@understudy/core/failover';
import type { Topology } from '@understudy/core/routing';
import type { ClusterFacade, OperationRequest, StatusDocument } from '../../src/api/index.ts';
import type { StatementSample } from '@understudy/core/routing';
import type { TourDocument, TourDoor } from '../../src/api/index.ts';
import { sampleOf } from '../../src/api/status-samples.ts';
import type { StatusSample } from '../../src/api/types.ts';
import { status } from '../support/status.ts';

const TOUR: TourDocument = {
  state: 'off',
  workload: null,
  chapters: [
    {
      id: 'lag',
      title: 'Lag',
      idea: 'An idea.',
      doing: 'Nothing.',
      state: 'ready',
      findings: [],
      failure: null,
      question: 'Why?',
      answer: 'So.',
    },
  ],
};

/** A cluster that is plain data: what it is told to be, and what was asked of it. */
export class RecordedCluster implements ClusterFacade {
  readonly token = 'right-token';
  newMembers: 'here' | 'elsewhere' = 'here';
  readonly asked: { readonly request: OperationRequest; readonly timeoutMs: number }[] = [];
  readonly events: ClusterEvent[] = [];
  readonly listeners = new Set<(event: ClusterEvent) => void>();
  document: StatusDocument = status();
  refusal: UnderstudyError | null = null;

  status(): StatusDocument {
    return this.document;
  }

  known: Topology = {
    term: 1,
    primary: { kind: 'absent', reason: 'nobody yet' },
    replicas: [],
    history: [{ timeline: 1, endLsn: 0x3000060n }],
  };

  topology(): Topology {
    return this.known;
  }

  samples(): readonly StatusSample[] {
    return [sampleOf(this.document, 1000)];
  }

  readonly history: TermRecord[] = [
    {
      term: 1,
      primary: 'n1',
      timeline: 1,
      trigger: 'bootstrap',
      reason: 'a new cluster',
      detectMs: null,
      ...times(1000, 1001, 1002, 1003),
    },
    {
      term: 2,
      primary: 'n2',
      timeline: 2,
      trigger: 'primary-exited',
      reason: 'n1 was killed',
      detectMs: 12,
      ...times(2000, 2050, 2150, 2180),
    },
  ];

  state(): ClusterState {
    return {
      schema: 1,
      name: 'main',
      systemId: '7000000000000000001',
      proposal: null,
      rule: null,
      members: {},
      intent: null,
      paused: null,
      durability: { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
      history: this.history,
    };
  }

  eventsAfter(afterId: number, limit: number): readonly ClusterEvent[] {
    return this.events.filter(event => event.id > afterId).slice(-limit);
  }

  subscribe(listener: (event: ClusterEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  steps: readonly RestartStep[] = [];

  releaseRefusal(): null {
    return null;
  }

  restartSteps(): readonly RestartStep[] {
    return this.steps;
  }

  verdict: PromotionVerdict = { kind: 'refused', why: 'This is no standby cluster', remedy: 'Nothing.' };

  promotion(): Extract<PromotionVerdict, { kind: 'ready' }> {
    if (this.verdict.kind === 'ready') return this.verdict;
    throw new UnderstudyError('promotion-refused', { why: this.verdict.why, remedy: '' });
  }

  checkDemotion(): void {}

  async perform(request: OperationRequest, timeoutMs: number): Promise<{ message: string; member: string | null; term: number | null }> {
    this.asked.push({ request, timeoutMs });
    if (this.refusal) throw this.refusal;
    return { message: 'Done.', member: null, term: 2 };
  }

  url(role: 'router' | 'primary' | 'replica'): string {
    return `postgres://postgres:secret@127.0.0.1:5432/postgres?role=${role}`;
  }

  readonly tour: TourDoor = {
    document: () => TOUR,
    start: async () => ({ ...TOUR, state: 'on' }),
    play: async id => {
      if (id !== 'lag') throw new UnderstudyError('no-such-chapter', { id, chapters: 'lag' });
      return { ...TOUR.chapters[0]!, state: 'done', findings: [{ label: 'n2 is behind', value: '2.0 MB' }] };
    },
    stop: async () => TOUR,
  };

  /** Whoever looks at what is routed. */
  readonly statementWatchers = new Set<(sample: StatementSample) => void>();

  watchStatements(listener: (sample: StatementSample) => void): () => void {
    this.statementWatchers.add(listener);
    return () => this.statementWatchers.delete(listener);
  }

  happen(kind: EventKind, message: string = kind): ClusterEvent {
    const event = { id: (this.events.at(-1)?.id ?? 0) + 1, atMs: 1_700_000_000_000, kind, member: 'n1', term: 1, message, inputs: {} };
    this.events.push(event);
    for (const listener of this.listeners) listener(event);
    return event;
  }
}

function times(raisedAtMs: number, electedAtMs: number, promotedAtMs: number, establishedAtMs: number) {
  return { raisedAtMs, electedAtMs, promotedAtMs, establishedAtMs, lostBytes: 0 };
}
