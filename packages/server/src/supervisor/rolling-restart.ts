import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { type ClusterEvent, type ClusterState, type MemberId, UnderstudyError } from '@understudy/core/cluster';
import {
  foreseenSteps,
  type HeardReports,
  majorDifference,
  nextRestartStep,
  type RestartScope,
  type RestartStep,
  restartViewOf,
} from '@understudy/core/failover';
import { PROGRAMS_TOLD_MS } from '../agent/restart-facts.ts';
import type { OperationResult, RestartRequest } from '../api/facade.ts';

/** What a rolling restart needs of the operator's desk. */
export interface RollingRestartPorts {
  readonly state: () => ClusterState;
  /** The newest reports of the members that were heard of lately. */
  readonly heard: () => HeardReports;
  readonly change: (next: (state: ClusterState) => ClusterState, reason: string) => Promise<void>;
  /** Waits for the condition. Throws `timed-out` after the limit. */
  readonly until: (condition: () => boolean, what: string, limitMs: number, onLate?: () => Promise<void>) => Promise<void>;
  readonly switchover: (to: MemberId, timeoutMs: number) => Promise<unknown>;
  readonly outcomeOf: (intentId: string) => ClusterEvent | undefined;
  readonly withdraw: (intentId: string) => Promise<void>;
  /** Makes the shutdown of a primary short. */
  readonly shortenShutdown: () => Promise<void>;
}

/**
 * Restarts servers one after the other, each step decided anew from what is seen (`nextRestartStep`): begun again after it was cut off, by another process
 * too, it goes on where it stopped.
 */
export class RollingRestart {
  readonly #ports: RollingRestartPorts;
  #isRunning = false;

  constructor(ports: RollingRestartPorts) {
    this.#ports = ports;
  }

  /** What it would do now. Throws `different-major`. */
  foresee(request: RestartRequest): readonly RestartStep[] {
    const { state, heard } = this.#ports;
    this.#requirePossible(request);
    return foreseenSteps(restartViewOf(state(), heard(), scopeOf(request, state(), heard())));
  }

  /** Does it, one at a time. Throws `restart-refused`, `different-major`, `intent-pending`, `timed-out` and what a switchover throws. */
  async run(request: RestartRequest, timeoutMs: number): Promise<OperationResult> {
    if (this.#isRunning) throw new UnderstudyError('intent-pending', { kind: 'restart' });
    this.#isRunning = true;
    try {
      this.#requirePossible(request);
      if (request.kind === 'upgrade') await this.#hearOfInstalled(request);
      return this.#done(await this.#steps(await this.#begin(request), timeoutMs));
    } finally {
      this.#isRunning = false;
    }
  }

  #requirePossible(request: RestartRequest): void {
    const { state, heard } = this.#ports;
    if (state().paused) throw new UnderstudyError('cluster-paused');
    const other = request.kind === 'upgrade' ? majorDifference(heard()) : null;
    if (other) throw new UnderstudyError('different-major', { member: other.id, running: other.running, installed: other.installed });
  }

  /** What was installed a moment ago some agents may not have seen: the primary would go before replicas that are due as well, or nobody at all. */
  async #hearOfInstalled(request: RestartRequest): Promise<void> {
    await setTimeout(PROGRAMS_TOLD_MS);
    this.#requirePossible(request);
  }

  /** A restart of all is noted in the store: what is left of it could not be told otherwise. */
  async #begin(request: RestartRequest): Promise<RestartScope> {
    const { state, heard, change } = this.#ports;
    const scope = scopeOf(request, state(), heard());
    if (request.kind !== 'restart' || request.which.kind !== 'all' || scope.kind !== 'lives') return scope;
    const { startedAtMs } = scope;
    await change(now => (now.restarting ? now : { ...now, restarting: startedAtMs }), 'An operator asked for the restart of every server.');
    return { kind: 'lives', startedAtMs: state().restarting ?? startedAtMs };
  }

  async #steps(scope: RestartScope, timeoutMs: number): Promise<readonly MemberId[]> {
    const endMs = performance.now() + timeoutMs;
    const { state, heard } = this.#ports;
    const restarted: MemberId[] = [];
    for (;;) {
      const step = await this.#nextStep(scope, endMs);
      const leftMs = Math.max(1, endMs - performance.now());
      switch (step.kind) {
        case 'restart':
        case 'switchover': {
          const id = step.kind === 'restart' ? step.member : step.from;
          if (restarted.includes(id))
            throw new UnderstudyError('restart-refused', { why: `${id} was restarted, and that has not changed it.` });
          const before = heard().get(id)?.startedAtMs ?? null;
          if (step.kind === 'restart') await this.#restart(id, leftMs);
          else await this.#ports.switchover(step.to, leftMs);
          if (heard().get(id)?.startedAtMs !== before) restarted.push(id);
          break;
        }
        case 'refused':
          throw new UnderstudyError('restart-refused', { why: step.why });
        case 'done':
          if (state().restarting && scope.kind === 'lives') await this.#end(scope);
          return restarted;
        case 'wait':
          throw new UnderstudyError('timed-out', { what: `The restart (${step.why})`, limitMs: timeoutMs });
        default:
          step satisfies never;
      }
    }
  }

  /** A step that is to be waited for is only told when the time is over. */
  async #nextStep(scope: RestartScope, endMs: number): Promise<RestartStep> {
    const { state, heard, until } = this.#ports;
    const look = (): RestartStep => nextRestartStep(restartViewOf(state(), heard(), scope));
    let step = look();
    const isReady = (): boolean => (step = look()).kind !== 'wait';
    await until(isReady, '', Math.max(1, endMs - performance.now())).catch(() => undefined);
    return step;
  }

  async #end(scope: Extract<RestartScope, { kind: 'lives' }>): Promise<void> {
    const isOurs = ({ restarting }: ClusterState): boolean => JSON.stringify(restarting) === JSON.stringify(scope.startedAtMs);
    await this.#ports.change(
      state => (isOurs(state) ? { ...state, restarting: undefined } : state),
      'Every server that was to be restarted has been.',
    );
  }

  /** Asks the member's agent by way of the store, and waits for what becomes of it. An election that came in between leaves the rest to the next step. */
  async #restart(member: MemberId, limitMs: number): Promise<void> {
    const { state, heard, change, until, outcomeOf, withdraw, shortenShutdown } = this.#ports;
    const startedAtMs = heard().get(member)?.startedAtMs ?? null;
    if (startedAtMs === null)
      throw new UnderstudyError('restart-refused', { why: `The agent of ${member} does not tell when its server began.` });
    if (state().rule?.primary === member) await shortenShutdown();
    const id = randomUUID();
    let fromTerm = 0;
    await change(now => {
      if (now.paused) throw new UnderstudyError('cluster-paused');
      if (now.intent) throw new UnderstudyError('intent-pending', { kind: now.intent.kind });
      if (!now.rule) throw new UnderstudyError('no-primary', { why: 'the cluster is being created' });
      fromTerm = now.rule.term;
      return { ...now, intent: { kind: 'restart', id, member, startedAtMs, fromTerm, atMs: Date.now() } };
    }, `An operator asked for the restart of ${member}.`);
    const isNew = (): boolean => heard().get(member)?.startedAtMs !== startedAtMs;
    const isOver = (): boolean => outcomeOf(id) !== undefined || (state().intent?.id !== id && isNew());
    await until(isOver, `The restart of ${member}`, limitMs, () => withdraw(id));
    const outcome = outcomeOf(id);
    if (outcome?.kind === 'intent-refused' && state().rule?.term === fromTerm)
      throw new UnderstudyError('restart-refused', { why: outcome.message });
  }

  #done(restarted: readonly MemberId[]): OperationResult {
    const { rule } = this.#ports.state();
    const message =
      restarted.length === 0
        ? 'No server waits for a restart.'
        : `Restarted: ${restarted.join(', ')}. ${rule?.primary ?? 'Nobody'} is the primary of term ${rule?.term ?? 0}.`;
    return { message, member: rule?.primary ?? null, term: rule?.term ?? null };
  }
}

/** One that was begun is gone on with. */
function scopeOf(request: RestartRequest, state: ClusterState, heard: HeardReports): RestartScope {
  if (request.kind === 'upgrade') return { kind: 'upgrade' };
  const { which } = request;
  const lives = (ids: readonly MemberId[]): RestartScope => ({
    kind: 'lives',
    startedAtMs: Object.fromEntries(ids.flatMap(id => [[id, heard.get(id)?.startedAtMs ?? 0] as const])),
  });
  switch (which.kind) {
    case 'pending':
      return { kind: 'pending' };
    case 'all':
      return state.restarting ? { kind: 'lives', startedAtMs: state.restarting } : lives(Object.keys(state.members));
    case 'member':
      return lives([which.id]);
    default:
      return which satisfies never;
  }
}
