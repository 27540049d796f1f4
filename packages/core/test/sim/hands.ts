import type { ClusterState, MemberId, Operation } from '../../src/cluster/index.ts';
import { type Action, covers, type Decision, parseSynchronousNames } from '../../src/failover/index.ts';
import type { SimAgent } from './agent.ts';
import { readNames } from './postgres.ts';
import { endOf } from './wal.ts';

const CAS_TIMEOUT_MS = 1500;

/** How an agent performs actions: each takes its time, may fail, and may be cut off in the middle. */
export class Hands {
  readonly #agent: SimAgent;
  #swapping = false;
  /** A compare-and-swap whose outcome is not known may still succeed while this is the newest revision. */
  #unsettled: number | null = null;
  #promising = 0;
  #starting = false;
  #namesAsked: string | null = null;
  #token = 0;

  constructor(agent: SimAgent) {
    this.#agent = agent;
  }

  reset(): void {
    this.#swapping = false;
    // A predecessor may have died with a change under way: what it asked for must be void before anything rests on the store.
    this.#unsettled = 0;
    this.#promising = 0;
    this.#starting = false;
    this.#namesAsked = null;
    this.#token++;
  }

  /** The agent's process ends: what it did with its own hands stops there. */
  cutOff(): void {
    this.#token++;
    this.#agent.operation = null;
  }

  heardRevision(revision: number): void {
    if (this.#unsettled === 0) this.#unsettled = revision;
    else if (this.#unsettled !== null && revision > this.#unsettled) this.#unsettled = null;
  }

  /** After each observation: how did the last start end, and are the names in force? */
  notice(): void {
    const agent = this.#agent;
    const { postgres } = agent;
    if (this.#starting && postgres.process === 'up') {
      this.#starting = false;
      agent.repair = { attempts: 0, lastAtMs: agent.mono, fault: 'unknown' };
    } else if (this.#starting && postgres.process === 'down') {
      this.#starting = false;
      this.#failed();
    }
    const names = postgres.namesText;
    if (
      this.#namesAsked === names &&
      postgres.leads &&
      !postgres.frozen &&
      postgres.namesInForce() &&
      agent.namesInForceSince?.names !== names
    )
      agent.namesInForceSince = { names, lsn: endOf(postgres.wal) };
  }

  /** True when it is done or begun; false when it is under way already. */
  perform({ action, reason }: Decision): boolean {
    const agent = this.#agent;
    if (action.kind === 'change-store') return this.#swap(action.next, reason);
    if (action.kind === 'promise') return this.#promise(action.term);
    if (action.kind === 'fence') {
      agent.world.trace(agent.id, `fence: ${reason}`);
      this.#token++;
      agent.operation = null;
      agent.promotionNote = false;
      this.#starting = false;
      agent.postgres.kill(true);
      return true;
    }
    if (agent.operation !== null) return false;
    if (action.kind === 'set-synchronous-names' && (this.#swapping || this.#unsettled !== null) && agent.world.mutation.settlesFirst) {
      if (!this.#swapping) this.#send(agent.state!);
      return true;
    }
    if (
      action.kind === 'set-synchronous-names' &&
      action.synchronousNames === agent.postgres.namesText &&
      this.#namesAsked === action.synchronousNames
    )
      return false;
    agent.world.trace(agent.id, `${action.kind}: ${reason}`);
    this.#begin(action);
    return true;
  }

  #begin(action: Exclude<Action, { kind: 'change-store' | 'promise' | 'fence' }>): void {
    const agent = this.#agent;
    const { postgres, world } = agent;
    switch (action.kind) {
      case 'initdb':
        return this.#operate({ kind: 'initdb' }, 300, () => postgres.initialise(`sys-${agent.id}`));
      case 'start-isolated':
        this.#starting = true;
        return postgres.start('replica', world.random.between(30, 400));
      case 'start-primary':
        this.#chooseNames(action.term, action.synchronousNames);
        this.#starting = true;
        return postgres.start('primary', world.random.between(30, postgres.crashed ? 2000 : 200));
      case 'isolate':
        return this.#operate({ kind: 'reconfiguring' }, world.random.between(5, 40), () => this.#isolate());
      case 'follow':
        return this.#operate({ kind: 'reconfiguring' }, world.random.between(5, 30), () => {
          if (postgres.process !== 'up' || postgres.role !== 'replica') return;
          postgres.upstream = action.from;
          postgres.followsAs = action.applicationName;
        });
      case 'promote':
        return this.#promote(action.timeline, action.synchronousNames);
      case 'set-synchronous-names':
        this.#namesAsked = action.synchronousNames;
        agent.namesInForceSince = null;
        return postgres.setNames(action.synchronousNames);
      case 'begin-confirm':
        if (!postgres.leads || postgres.frozen) return;
        agent.open = { term: action.term, barrierLsn: endOf(postgres.wal), confirmed: false, atWallMs: agent.wallMs };
        agent.openIndex = postgres.wal.length;
        return agent.poke();
      case 'confirm':
        if (agent.open === null) return;
        agent.open = { ...agent.open, confirmed: true };
        world.checks.confirmed(agent);
        return agent.poke();
      case 'shutdown':
        postgres.shutdown(action.deadlineMs);
        return this.#until(
          { kind: 'stopping' },
          () => postgres.process === 'down',
          action.deadlineMs + 500,
          () => postgres.kill(true),
        );
      case 'rejoin':
        return this.#rejoin(action.primary);
      case 'clone':
        return this.#clone(action.from);
      case 'slots':
        agent.slots = action.ensure;
        return agent.poke();
      case 'leave':
        postgres.shutdown(500);
        agent.left = true;
        return agent.crash();
      // Nobody releases a cluster here.
      case 'release':
      case 'end-release':
      case 'alarm':
      // There is no other cluster in this world.
      case 'follow-source':
      case 'copy-source':
        return;
      default:
        return action satisfies never;
    }
  }

  /** Names of this term stay as they are: a change of the store whose outcome is not known may rest on them. */
  #chooseNames(term: number, synchronous: string): void {
    const { postgres, state } = this.#agent;
    const configured = parseSynchronousNames(postgres.namesText, term);
    if (configured === null || !state?.rule || !covers(state.rule, configured)) postgres.namesText = synchronous;
  }

  /** A slow thing: does `then` at its end unless it was cut off before. */
  #operate(operation: Operation, durationMs: number, then: () => void): void {
    const agent = this.#agent;
    agent.operation = operation;
    const token = ++this.#token;
    const finish = (): void => {
      if (this.#token !== token) return;
      if (agent.frozen || agent.postgres.frozen || agent.postgres.disk === 'frozen') {
        agent.world.events.after(100, finish);
        return;
      }
      agent.operation = null;
      then();
      agent.poke();
    };
    agent.world.events.after(durationMs, finish);
  }

  #until(operation: Operation, done: () => boolean, deadlineMs: number, late: () => void): void {
    const agent = this.#agent;
    agent.operation = operation;
    const token = ++this.#token;
    const untilMs = agent.world.now + deadlineMs;
    const look = (): void => {
      if (this.#token !== token) return;
      if (agent.frozen || (!done() && agent.world.now < untilMs)) {
        agent.world.events.after(15, look);
        return;
      }
      if (!done()) late();
      agent.operation = null;
      agent.promotionNote = false;
      agent.poke();
    };
    look();
  }

  #isolate(): void {
    const { postgres } = this.#agent;
    if (postgres.process !== 'up') return;
    postgres.followsAs = null;
    postgres.upstream = null;
    postgres.receiver?.close(postgres.id);
  }

  #promote(timeline: number, names: string): void {
    const agent = this.#agent;
    const { postgres, world } = agent;
    const { life } = postgres;
    agent.promotionNote = true;
    if (world.mutation.namesBeforePromotion) postgres.setNames(names);
    else {
      postgres.namesText = '';
      postgres.waitsFor = readNames('');
      world.events.after(800, () => postgres.setNames(names));
    }
    world.events.after(world.random.between(20, 200), () => postgres.life === life && postgres.promote(timeline));
    this.#until(
      { kind: 'promoting' },
      () => postgres.leads || postgres.process === 'down',
      5000,
      () => postgres.kill(true),
    );
  }

  #swap(next: ClusterState, reason: string): boolean {
    const agent = this.#agent;
    if (this.#swapping) return false;
    agent.world.trace(agent.id, `store: ${reason}`);
    this.#send(this.#unsettled === null ? next : agent.state!);
    return true;
  }

  /** With an earlier one unsettled, the document is sent again as it is: whichever comes first makes the other void. */
  #send(next: ClusterState): void {
    const agent = this.#agent;
    const expected = agent.revision;
    const { life } = agent;
    let settled = false;
    this.#swapping = true;
    agent.world.store.request(
      agent.id,
      () => agent.world.store.compareAndSwap(agent.id, expected, next),
      answer => {
        if (agent.life !== life || !agent.well || settled) return;
        settled = true;
        this.#swapping = false;
        agent.hearState(answer.revision, answer.state);
        agent.poke();
      },
    );
    agent.world.events.after(CAS_TIMEOUT_MS, () => {
      if (settled || agent.life !== life) return;
      settled = true;
      this.#swapping = false;
      if (agent.revision <= expected) this.#unsettled = expected;
      if (this.#unsettled !== null && agent.well) this.#send(agent.state!);
    });
  }

  #promise(term: number): boolean {
    const agent = this.#agent;
    if (this.#promising >= term) return false;
    this.#promising = term;
    agent.world.trace(agent.id, `promise ${term}`);
    const { life } = agent;
    const { random, events, mutation } = agent.world;
    const synced = (): void => {
      if (agent.life !== life) return;
      if (agent.frozen || agent.postgres.disk === 'frozen') {
        events.after(100, synced);
        return;
      }
      agent.durablePromise = Math.max(agent.durablePromise, term);
      agent.promised = Math.max(agent.promised, term);
      agent.poke();
    };
    if (mutation.syncsPromise) events.after(agent.postgres.disk === 'slow' ? 150 : random.between(0.5, 8), synced);
    else {
      agent.promised = term;
      events.after(10_000, synced);
      agent.poke();
    }
    return true;
  }

  #failed(): void {
    const agent = this.#agent;
    agent.repair = { attempts: agent.repair.attempts + 1, lastAtMs: agent.mono, fault: 'unknown' };
  }

  #source(primary: MemberId): SimAgent['postgres'] | null {
    const { world, id } = this.#agent;
    const source = world.servers.get(primary);
    return source?.alive && source.leads && world.network.bothWays(id, primary) ? source : null;
  }

  /** A running replica can give a copy of what it has, too. */
  #copySource(from: MemberId): SimAgent['postgres'] | null {
    const { world, id } = this.#agent;
    const source = world.servers.get(from);
    return source?.alive && source.data === 'whole' && world.network.bothWays(id, from) ? source : null;
  }

  #rejoin(primary: MemberId): void {
    const agent = this.#agent;
    const { postgres, world } = agent;
    if (this.#source(primary) === null) return this.#failed();
    world.checks.destroys(agent, primary);
    postgres.kill(false);
    postgres.data = 'partial';
    this.#operate({ kind: 'rewinding' }, world.random.between(200, 1200), () => {
      const walMissing = world.random.chance(world.rewindFailure);
      if (walMissing || !this.#copy(this.#source(primary))) this.#failed();
      else agent.repair = { attempts: 0, lastAtMs: agent.mono, fault: 'unknown' };
    });
  }

  #clone(from: MemberId): void {
    const agent = this.#agent;
    const { postgres, world } = agent;
    if (this.#copySource(from) === null) return this.#failed();
    if (postgres.data === 'none') postgres.data = 'partial';
    else if (postgres.data === 'whole') world.checks.destroys(agent, from);
    this.#operate({ kind: 'cloning', bytesDone: 0, bytesTotal: null }, world.random.between(300, 2500), () => {
      if (postgres.data === 'whole') postgres.kill(false);
      if (!this.#copy(this.#copySource(from))) this.#failed();
      else agent.repair = { attempts: 0, lastAtMs: agent.mono, fault: 'unknown' };
    });
    if (postgres.data === 'partial' && !world.mutation.hidesHalfClones) world.mutation.halfClone(postgres, world.servers.get(from)!);
  }

  #copy(source: SimAgent['postgres'] | null): boolean {
    if (source === null) return false;
    const { postgres } = this.#agent;
    postgres.data = 'whole';
    postgres.systemId = source.systemId;
    postgres.wal = source.wal.slice(0, source.flushed);
    postgres.flushed = postgres.wal.length;
    postgres.timeline = source.timeline;
    postgres.controlTimeline = source.timeline;
    postgres.history = source.history;
    postgres.crashed = false;
    postgres.cleanShutdown = false;
    return true;
  }
}
