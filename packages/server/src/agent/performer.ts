import { type Operation, parseStreamName } from '@understudy/core/cluster';
import type { Action, Decision } from '@understudy/core/failover';
import { ensureSlot, initialize, PostgresError, type StartAs, sourceEndpoint, type Upstream, withConnection } from '../postgres/index.ts';
import type { PerformerContext } from './context.ts';
import { toSynchronousNames } from './names.ts';
import { copySource, rejoin, replaceByClone } from './repair.ts';
import { requireSurvival } from './survival.ts';

const SETTINGS_DEADLINE_MS = 3000;
const RELEASE_DEADLINE_MS = 30_000;
const PROMOTE_DEADLINE_MS = 10_000;
const CHECKPOINT_DEADLINE_MS = 300_000;
/** An action that failed is tried again after this, then ever more slowly. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5000;

type LocalAction = Exclude<Action, { kind: 'change-store' | 'alarm' }>;
/** One that changes the server, and so takes its time. */
type ServerAction = Exclude<LocalAction, { kind: 'promise' | 'begin-confirm' | 'confirm' }>;

/** Carries out the decisions that concern the own server: one slow operation at a time, which only a fence may cut short. */
export class Performer {
  readonly #context: PerformerContext;
  #operation: Operation | null = null;
  #abort: AbortController | null = null;
  readonly #failures = new Map<Action['kind'], { readonly count: number; readonly untilMs: number }>();
  #running: Promise<void> | null = null;
  #fencing: Promise<void> | null = null;
  #endedAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: PerformerContext) {
    this.#context = context;
  }

  /** The slow operation under way. */
  get operation(): Operation | null {
    return this.#operation;
  }

  /** When the last action ended (monotonic): what was seen before it tells nothing of the server as it is. */
  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  get busy(): boolean {
    return this.#running !== null || this.#fencing !== null;
  }

  /** Whether an action of this kind failed so lately that it is not tried again yet. */
  isTooSoon(kind: Action['kind']): boolean {
    return this.#context.now() < (this.#failures.get(kind)?.untilMs ?? 0);
  }

  /** Begins an action; resolves when it is done or has failed (which is said as an event, never thrown). */
  async perform(action: LocalAction, reason: string, inputs: Decision['inputs']): Promise<void> {
    switch (action.kind) {
      case 'promise':
        return this.#promise(action.term, reason, inputs);
      case 'begin-confirm':
        return this.#beginConfirm(action.term);
      case 'confirm':
        return this.#confirm(action.term, reason, inputs);
      case 'fence':
        return await this.#fence(action, reason, inputs);
      default:
        if (!this.busy) await this.#begin(action, reason, inputs);
    }
  }

  /**
   * Cuts off what is under way. It is decided anew with every look: then the one on its way is joined. Answering at once would wake the agent to
   * decide it again at once, without ever a turn for the event that ends it.
   */
  async #fence(action: Extract<Action, { kind: 'fence' }>, reason: string, inputs: Decision['inputs']): Promise<void> {
    this.#fencing ??= this.abort()
      .then(() => this.#begin(action, reason, inputs))
      .finally(() => {
        this.#fencing = null;
      });
    await this.#fencing;
  }

  async #begin(action: ServerAction, reason: string, inputs: Decision['inputs']): Promise<void> {
    this.#running = this.#run(action, reason, inputs).finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  /** Cuts off what is under way, and waits until it has ended. */
  async abort(): Promise<void> {
    this.#abort?.abort();
    await this.#running;
  }

  async #run(action: ServerAction, reason: string, inputs: Decision['inputs']): Promise<void> {
    const { now, log } = this.#context;
    const beganAtMs = now();
    this.#operation = operationOf(action);
    this.#abort = new AbortController();
    try {
      await this.#do(action, reason, inputs, this.#abort.signal);
      log(`${action.kind} took ${Math.round(now() - beganAtMs)} ms: ${reason}`);
      this.#failures.delete(action.kind);
    } catch (error) {
      this.#failed(action, error);
    }
    this.#endedAtMs = now();
    try {
      // Until it has been seen what the action has made of the server, nothing else may be decided.
      await this.#context.watcher.lookAnew();
    } catch (error) {
      this.#failed(action, error);
    } finally {
      this.#operation = null;
      this.#abort = null;
    }
  }

  #promise(term: number, reason: string, inputs: Decision['inputs']): void {
    try {
      this.#context.promises.promise(term);
      this.#failures.delete('promise');
      this.#context.say('promised', reason, { ...inputs, term });
    } catch (error) {
      this.#failed({ kind: 'promise', term }, error);
    }
  }

  #failed(action: Action, error: unknown): void {
    const { facts, now, say, member } = this.#context;
    const count = (this.#failures.get(action.kind)?.count ?? 0) + 1;
    this.#failures.set(action.kind, { count, untilMs: now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(count - 1, 10)) });
    if (isRepair(action)) facts.noteRepair('failed', now());
    const detail = error instanceof PostgresError && error.detail ? `: ${error.detail.trim().split('\n').slice(-3).join(' | ')}` : '';
    const message = `${member}: ${action.kind} failed: ${(error as Error).message}${detail}`;
    say(action.kind === 'clone' || action.kind === 'copy-source' ? 'clone-failed' : 'decision', message, { failed: action.kind });
  }

  async #do(action: ServerAction, reason: string, inputs: Decision['inputs'], signal: AbortSignal): Promise<void> {
    const { server, facts, say, member } = this.#context;
    switch (action.kind) {
      case 'initdb':
        await initialize({ ...server.spec, signal });
        return;
      case 'start-isolated':
        await this.#start({ role: 'replica', upstream: null });
        return;
      case 'start-primary':
        await this.#startPrimary(action);
        return;
      case 'isolate':
        await this.#isolate();
        return;
      case 'follow':
        await this.#follow(action);
        say('following', reason, inputs);
        return;
      case 'promote':
        await this.#promote(action);
        say('primary-promoted', reason, { ...inputs, term: action.term, timeline: action.timeline });
        return;
      case 'set-synchronous-names':
        await server.setSynchronousNames(toSynchronousNames(action.synchronousNames), SETTINGS_DEADLINE_MS);
        return;
      case 'fence': {
        const killed = await server.fence();
        say('server-fenced', reason, { ...inputs, killed });
        return;
      }
      case 'shutdown':
        await server.stop(action.deadlineMs);
        return;
      case 'clone':
        await replaceByClone(this.#context, action, signal, operation => this.#progress(operation));
        facts.noteRepair('done', this.#context.now());
        return;
      case 'follow-source':
        await this.#followSource(action);
        say('source-changed', reason, inputs);
        return;
      case 'copy-source':
        await copySource(this.#context, action, signal, operation => this.#progress(operation));
        facts.noteRepair('done', this.#context.now());
        return;
      case 'rejoin':
        await rejoin(this.#context, action, signal, operation => this.#progress(operation));
        facts.noteRepair('done', this.#context.now());
        return;
      case 'slots':
        for (const name of action.ensure) await server.ensureSlot(name, SETTINGS_DEADLINE_MS);
        for (const name of action.drop) await server.dropSlot(name, SETTINGS_DEADLINE_MS);
        return;
      case 'release':
        await requireSurvival(server.pid);
        await server.release(RELEASE_DEADLINE_MS);
        facts.noteReleased();
        return;
      case 'end-release':
        await server.forget();
        this.#context.onReleased();
        return;
      case 'leave':
        await server.stop(10_000);
        say('decision', `${member} has left the cluster.`);
        this.#context.onLeft();
        return;
      default:
        action satisfies never;
    }
  }

  async #start(as: StartAs): Promise<void> {
    const { server, watcher, facts } = this.#context;
    await this.#takeInstalledPrograms();
    await server.start(as);
    watcher.reset();
    facts.noteServerLife();
  }

  /** Data of one major version is not for another's programs: then those that made it are tried, whether or not they are still there. */
  async #takeInstalledPrograms(): Promise<void> {
    const { server, programs, log } = this.#context;
    await programs.look().catch((error: Error) => log(`the installed programs cannot be used: ${error.message}`));
    if (programs.provider.version.major === server.spec.provider.version.major) server.useProvider(programs.provider);
  }

  #progress(operation: Operation): void {
    this.#operation = operation;
    this.#context.onProgress();
  }

  /** A walreceiver that cannot be proved gone is killed with its server: only then may the promise be answered. */
  async #isolate(): Promise<void> {
    const { server, say } = this.#context;
    try {
      await server.isolate(SETTINGS_DEADLINE_MS);
    } catch (error) {
      const killed = await server.fence();
      say('server-fenced', `It could not be shown to take no more WAL (${(error as Error).message}), so it was killed.`, { killed });
    }
  }

  /**
   * All that this primary had flushed when it was first seen as such, and may show, must be on its replicas before it is open. What it flushes after
   * that waits for them anyway: it has been a primary since, with names in force.
   */
  #beginConfirm(term: number): void {
    const { watcher, facts } = this.#context;
    const seen = watcher.observation;
    if (seen?.kind === 'primary') facts.noteOpen(term, seen.flushLsn, Date.now());
  }

  #confirm(term: number, reason: string, inputs: Decision['inputs']): void {
    const { facts, say } = this.#context;
    facts.noteConfirmed(term);
    say('primary-confirmed', reason, { ...inputs, term });
    this.#checkpoint();
  }

  /**
   * The names that nobody can satisfy are in force since this server started, so it opens closed: no commit can be acknowledged before the
   * rule's own names are in force. PostgreSQL reads those while it promotes itself, each process in its own time, and lets nothing through before.
   * A promotion that did not end in time could take effect at any later moment: it ends in a fence.
   */
  async #promote({ term, timeline, synchronousNames }: Extract<Action, { kind: 'promote' }>): Promise<void> {
    const { server, note } = this.#context;
    const { synchronousNames: before } = await server.replicationSettings();
    if (before.kind !== 'blocked') await server.setSynchronousNames({ kind: 'blocked' }, SETTINGS_DEADLINE_MS);
    note.write(term);
    try {
      await Promise.all([
        server.promote(timeline, PROMOTE_DEADLINE_MS),
        server.requestSynchronousNames(toSynchronousNames(synchronousNames)),
      ]);
    } catch (error) {
      await server.fence();
      note.remove();
      throw error;
    }
    note.remove();
  }

  /**
   * Names of this very term that are in the configuration stay: the store may lag behind them (a cohort is shrunk in PostgreSQL first), and those
   * that were in force when it stopped are the ones that its last acknowledgements rest on.
   */
  async #startPrimary({ term, synchronousNames }: Extract<Action, { kind: 'start-primary' }>): Promise<void> {
    const { synchronousNames: last } = await this.#context.server.replicationSettings();
    const isOfTerm = last.kind === 'quorum' && last.names.every(name => parseStreamName(name)?.term === term);
    await this.#start({ role: 'primary', synchronousNames: isOfTerm ? last : toSynchronousNames(synchronousNames) });
  }

  /**
   * A fast promotion leaves pg_control on the old timeline until a checkpoint, which PostgreSQL spreads over minutes; a rewind, a restart and
   * our own look at a stopped server go by pg_control. Not before the primary is open, whose first commits it would slow down, and not awaited.
   */
  #checkpoint(): void {
    const { server, say } = this.#context;
    server
      .checkpoint(CHECKPOINT_DEADLINE_MS)
      .catch((error: Error) => say('decision', `The checkpoint after the promotion failed: ${error.message}`));
  }

  async #follow(action: Extract<Action, { kind: 'follow' }>): Promise<void> {
    const upstream: Upstream = { host: action.host, port: action.port, applicationName: action.applicationName, slotName: action.slot };
    await this.#streamFrom(upstream);
  }

  /** The slot is made first: from then on the source keeps what comes after this moment. */
  async #followSource({ host, port, source, applicationName, slot }: Extract<Action, { kind: 'follow-source' }>): Promise<void> {
    const endpoint = sourceEndpoint(this.#context.server.spec, source, { host, port });
    await withConnection(endpoint, { deadlineMs: SETTINGS_DEADLINE_MS }, connection => ensureSlot(connection, slot));
    await this.#streamFrom({ host, port, applicationName, slotName: slot, source });
  }

  async #streamFrom(upstream: Upstream): Promise<void> {
    const { server } = this.#context;
    if (server.pid === null) await this.#start({ role: 'replica', upstream });
    else await server.follow(upstream, SETTINGS_DEADLINE_MS);
  }
}

/** How an action shows in the member's report while it runs. */
function operationOf(action: LocalAction): Operation {
  switch (action.kind) {
    case 'initdb':
      return { kind: 'initdb' };
    case 'start-isolated':
    case 'start-primary':
      return { kind: 'starting' };
    case 'promote':
      return { kind: 'promoting' };
    case 'clone':
    case 'copy-source':
      return { kind: 'cloning', bytesDone: 0, bytesTotal: null };
    case 'rejoin':
      return { kind: 'rewinding' };
    case 'fence':
    case 'shutdown':
    case 'leave':
      return { kind: 'stopping' };
    default:
      return { kind: 'reconfiguring' };
  }
}

const REPAIRS: ReadonlySet<Action['kind']> = new Set(['clone', 'copy-source', 'rejoin', 'follow', 'start-isolated']);

function isRepair(action: Action): boolean {
  return REPAIRS.has(action.kind);
}
