import { performance } from 'node:perf_hooks';
import type { EventEmitter } from 'node:events';
import {
  type Choice,
  type ConsistencyLevel,
  describeRoute,
  type RoutableServer,
  type RouteReason,
  writesElsewhere,
} from '@understudy/core/routing';
import {
  type ConsistencyWish,
  describeReason,
  groupMayCommit,
  type RouterCommand,
  type Statement,
  stateAfter,
  type TransactionState,
  type Unit,
} from '@understudy/core/sql';
import pg from 'pg';
import { connectionConfig, firstAddress } from '../config.ts';
import type { ClientConfig } from '../options.ts';
import {
  holdFull,
  invalidRouterCommand,
  isFatal,
  lockOnReplica,
  noPrimary,
  noServer,
  notReplicated,
  outcomeUnknown,
  type QueryError,
  readInterrupted,
  rolledBack,
  shuttingDown,
  standbyCluster,
  standbyLevel,
} from '../errors.ts';
import { releaseRouter, retainRouter, routerFor } from '../routing/registry.ts';
import { learnRun, mayShare } from '../lanes/lanes.ts';
import { wireValues } from '../lanes/values.ts';
import type { RouteInfo } from '../routing/route.ts';
import { isUnreachable, type Router } from '../routing/router.ts';
import { settle, takeToken, tokenNow } from '../routing/tokens.ts';
import type { ConnectionOwner, ServerConnection } from '../servers/connection.ts';
import { handleOf } from '../servers/handle.ts';
import { currentSession } from '../session.ts';
import { type Item, type ItemOrigin, type QueryObject, readCall } from './item.ts';
import { cancels, newProcessId, translate } from './process-ids.ts';
import { localResult, routerCommand, shown } from './router-answers.ts';
import { SessionState } from './session-state.ts';
import { askSettings, settingsPatch } from './settings.ts';

/** A statement is sent to at most so many servers. */
const MAX_ATTEMPTS = 5;
/** A server that could not be connected to is tried again after so long, unless the topology changes before. */
const RECONNECT_MS = 100;
/** Errors of a replica after which a read is run on the primary: it writes after all, or recovery got in its way. */
const REFUSED: ReadonlySet<string> = new Set(['25006', '40001', '40P01', '55000']);

/** pg's client from the inside; it is never connected, and stands for what the application sees. */
interface Shell {
  _queryable: boolean;
  _ending: boolean;
  _ended: boolean;
  _connected: boolean;
  _types: unknown;
  processID: number | null;
  readonly connection: EventEmitter;
}

/**
 * A pg client whose statements are routed one by one. It is a stable object that borrows a connection for each statement, or for each transaction, and keeps one
 * only while its session has state there. A server that is lost costs it a statement at most, never itself.
 */
export class RoutedClient extends pg.Client implements ConnectionOwner {
  readonly #options: ClientConfig;
  #router: Router;
  readonly #state: SessionState;
  readonly #queue: Item[] = [];
  /** Texts of the statements that were named. */
  readonly #names: Map<string, string> = new Map();
  #current: Item | null = null;
  /** The connection of the statement under way, the open transaction or the session's state. */
  #bound: ServerConnection | null = null;
  #connected = false;
  #retained = false;
  #keepAlive: NodeJS.Timeout | null = null;

  constructor(config?: string | ClientConfig) {
    const options: ClientConfig = typeof config === 'string' ? { connectionString: config } : (config ?? {});
    const router = routerFor(options);
    super(connectionConfig(router.config.base, firstAddress(router.config.source)));
    this.#options = options;
    this.#router = router;
    const { consistency, maxLagMs } = router.config;
    this.#state = new SessionState({ route: 'auto', consistency, maxLagMs });
    this.#shell.processID = newProcessId(this);
  }

  get #shell(): Shell {
    return this as unknown as Shell;
  }

  /** The connection that its statement runs on; null when none does. */
  get connectionInUse(): ServerConnection | null {
    return this.#bound;
  }

  // ---- what pg.Client is

  override connect(callback?: unknown): never {
    const done = typeof callback === 'function' ? (callback as (error?: Error | null, client?: this) => void) : null;
    const connecting = this.#connect();
    if (done === null) return connecting.then(() => this) as never;
    connecting.then(
      // A caller's own fault in its callback is no rejection of ours.
      () => process.nextTick(done, null, this),
      (error: Error) => process.nextTick(done, error),
    );
    return undefined as never;
  }

  async #connect(): Promise<void> {
    if (this.#shell._connected) throw new Error('Client has already been connected. You cannot reuse a client.');
    this.#shell._connected = true;
    this.#router = retainRouter(this.#options);
    this.#retained = true;
    await withinTime(this.#router.logIn(), this.#options.connectionTimeoutMillis ?? 0);
    if (this.#shell._ending) throw new Error('Connection terminated');
    this.#connected = true;
    // As with a socket: a client that is connected and not ended keeps the process alive.
    this.#keepAlive = setInterval(() => undefined, 0x7fff_ffff);
    for (const [parameterName, parameterValue] of this.#router.parameters) {
      this.#shell.connection.emit('parameterStatus', { name: 'parameterStatus', parameterName, parameterValue });
    }
    this.emit('connect');
    this.#pump();
  }

  override query(config: unknown, values?: unknown, callback?: unknown): never {
    const { item, result } = readCall(config, values, callback, this.#origin());
    if (!this.#shell._queryable || this.#shell._ending) {
      process.nextTick(() => item.done(new Error('Client was closed and is not queryable')));
      return result as never;
    }
    this.#queue.push(item);
    this.#pump();
    return result as never;
  }

  #origin(): ItemOrigin {
    const session = currentSession();
    if (session === null) return { session: this.#state.causality, settle: null };
    return { session: session.begin(), settle: () => session.settle() };
  }

  override end(callback?: unknown): never {
    const shell = this.#shell;
    shell._ending = true;
    if (!shell._ended) {
      shell._ended = true;
      shell._queryable = false;
      if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
      this.#unbindForGood();
      const waiting = this.#queue.splice(0);
      if (this.#current !== null) waiting.unshift(this.#current);
      this.#current = null;
      for (const item of waiting) process.nextTick(() => item.done(new Error('Connection terminated')));
      if (this.#retained) releaseRouter(this.#router);
      process.nextTick(() => this.emit('end'));
    }
    if (typeof callback === 'function') {
      process.nextTick(callback as () => void);
      return undefined as never;
    }
    return Promise.resolve() as never;
  }

  override getTransactionStatus(): TransactionState | null {
    return this.#connected ? this.#state.status : null;
  }

  ref(): void {
    this.#keepAlive?.ref();
    if (this.#bound !== null) handleOf(this.#bound.client).ref();
  }

  unref(): void {
    this.#keepAlive?.unref();
    if (this.#bound !== null) handleOf(this.#bound.client).unref();
  }

  /** The pool has it back: what belonged to its user alone ends here. */
  handedBack(): void {
    // With a statement under way it is its user who is at fault; the next one waits, as with pg.
    if (this.#current !== null) return;
    this.#unbindForGood();
    this.#state.reset();
  }

  /** Its connection may have state or a statement under way that nobody else must meet. */
  #unbindForGood(): void {
    const bound = this.#bound;
    this.#bound = null;
    if (bound === null) return;
    if (this.#current !== null) bound.destroy();
    this.#router.drop(bound);
  }

  // ---- one statement after the other

  #pump(): void {
    if (!this.#connected) return;
    while (this.#current === null) {
      const item = this.#queue.shift();
      if (item === undefined) {
        // As pg tells when nothing is left to do.
        return;
      }
      this.#current = item;
      item.before = this.#state.status;
      this.#dispatch(item);
    }
  }

  /** Decides from the state as it is now where the statement goes; called again after every wait. */
  #dispatch(item: Item): void {
    // It was ended while it waited.
    if (this.#current !== item) return;
    try {
      this.#route(item);
    } catch (error) {
      this.#fail(item, error as Error);
    }
  }

  #route(item: Item): void {
    const unit = this.#unitOf(item);
    if (this.#state.hasLoss) return this.#answerLoss(item, unit);
    if (unit.demand === 'router') return this.#answerHere(item, unit);
    if (cancels(unit.functions) && this.#routeCancel(item)) return;
    const bound = this.#bound;
    if (bound !== null) return this.#sendBound(item, unit, bound);
    if (item.what.kind === 'plain' && discardsAll(unit)) return this.#discardAll(item);
    if (!this.#router.hasRoom) return this.#fail(item, holdFull());
    if (item.beganAtMs === 0) item.beganAtMs = performance.now();
    const why = this.#whyPrimary(item, unit);
    if (why !== null) return this.#toPrimary(item, 'write', why);
    item.need ??= this.#router.freshness.needNow();
    const level = this.#levelOf(unit);
    const waitedMs = performance.now() - item.beganAtMs;
    const { route } = this.#state.wishes;
    this.#follow(item, this.#router.freshness.choose({ wish: route, level, waitedMs }, item.need, item.session));
  }

  #unitOf(item: Item): Unit {
    if (item.statement === null) {
      if (item.what.kind === 'plain') item.text = this.#textOf(item.what.query);
      item.statement = this.#router.classify(item.text);
    }
    return item.statement.unit;
  }

  /** A named statement may be run again by its name alone. */
  #textOf({ text, name }: QueryObject): string {
    if (name === undefined || name === null || name === '') return text ?? '';
    const known = this.#names.get(name);
    if (text === undefined) return known ?? '';
    if (known === undefined) this.#names.set(name, text);
    else if (known !== text) throw new Error(`Prepared statements must be unique - '${name}' was used for a different statement`);
    return text;
  }

  #levelOf(unit: Unit): ConsistencyLevel {
    const { consistency, maxLagMs } = this.#state.wishes;
    const wish: ConsistencyWish = unit.hints.consistency ?? consistency;
    return wish === 'bounded' ? { kind: 'bounded', maxLagMs } : { kind: wish };
  }

  /** Why it must go to the primary; null: a replica may take it. */
  #whyPrimary(item: Item, unit: Unit): string | null {
    if (item.primaryBecause !== null) return item.primaryBecause;
    if (this.#state.wishes.route === 'primary') return 'understudy.route = primary';
    const isolation = this.#state.settings.values.get('default_transaction_isolation');
    if (isolation === 'serializable') return 'replicas cannot be read at isolation level serializable';
    if (unit.demand === 'replica') return null;
    return beginsReadOnly(unit) ? null : describeReason(unit.reason);
  }

  #follow(item: Item, choice: Choice): void {
    switch (choice.kind) {
      case 'primary':
        return this.#toPrimary(item, choice.reason, describeRoute(choice.reason));
      case 'replica':
        return this.#toServer(item, choice.replica.server, 'replica', choice.reason, describeRoute(choice.reason));
      case 'wait-probe':
      case 'wait-replay':
        return this.#after(item, this.#router.freshness.news(choice.timeoutMs));
      case 'hold':
        return this.#hold(item, Number.POSITIVE_INFINITY);
      case 'error':
        return this.#fail(item, this.#failureOf(choice.reason));
      default:
        return choice satisfies never;
    }
  }

  #failureOf(reason: RouteReason): Error {
    const elsewhere = writesElsewhere(this.#router.topology);
    if (elsewhere === null) return noServer(describeRoute(reason));
    if (reason === 'standby-level') return standbyLevel(elsewhere);
    return reason === 'standby-cluster' ? standbyCluster(elsewhere) : noServer(describeRoute(reason));
  }

  #toPrimary(item: Item, reason: string, because: string): void {
    const { primary } = this.#router.topology;
    const elsewhere = writesElsewhere(this.#router.topology);
    if (elsewhere !== null) return this.#fail(item, standbyCluster(elsewhere));
    if (primary.kind !== 'open') return this.#hold(item, Number.POSITIVE_INFINITY);
    this.#toServer(item, primary.server, 'primary', reason, because);
  }

  /** Sends a quick read together with those of others. False: it needs a connection for itself. */
  #toLane(item: Item, target: Target): boolean {
    const { statement, what } = item;
    if (!this.#router.config.lanes || what.kind !== 'plain' || item.alone || statement === null || !mayShare(statement)) return false;
    if (this.#state.settings.values.size > 0 || this.#hasOwnWays || !isSimple(what.query)) return false;
    const { server, role } = target;
    const values = valuesOf(what.query);
    if (values === null) return false;
    const { term } = this.#router.topology;
    const sent = this.#router.lanes.send(server, term, role === 'primary' ? term : 0, {
      text: item.text,
      values,
      statement,
      rowMode: what.query.rowMode,
      types: (what.query.types ?? this.#shell._types) as pg.CustomTypesConfig,
      answered: result => this.#sharedAnswer(item, target, null, result),
      failed: error => this.#sharedAnswer(item, target, error, undefined),
      lost: why => this.#sharedLost(item, server, role, why),
      noticed: notice => this.onNotice(notice),
    });
    if (!sent) return false;
    this.#router.counters.countShared();
    this.#noteSent(item, target);
    return true;
  }

  #sharedAnswer(item: Item, { server, role }: Target, error: QueryError | null, result: unknown): void {
    const { freshness } = this.#router;
    if (role === 'replica') freshness.finished(server.id, performance.now() - item.sentAtMs);
    if (this.#current !== item) return;
    if (error !== null && role === 'replica' && REFUSED.has(error.code ?? '')) return this.#refusedBy(item, server.id, error);
    if (role === 'replica') freshness.noteReplicaRead(server.id, item.session);
    else freshness.notePrimaryRead(item.session);
    this.#current = null;
    this.#tell(item, error, result);
    this.#pump();
  }

  /** The read has left the lane without an answer; it goes on alone. */
  #sharedLost(item: Item, server: RoutableServer, role: RouteInfo['role'], why: 'left' | 'server'): void {
    const { freshness, counters } = this.#router;
    item.alone = true;
    if (why === 'left') {
      if (role === 'replica') freshness.abandoned(server.id);
      return this.#dispatch(item);
    }
    if (role === 'replica') freshness.failed(server.id, 'started');
    this.#router.suspect();
    counters.countRetry('lost');
    this.#dispatch(item);
  }

  #toServer(item: Item, server: RoutableServer, role: RouteInfo['role'], reason: string, because: string): void {
    const target: Target = { server, role, reason, because };
    if (this.#toLane(item, target)) return;
    const { term } = this.#router.topology;
    const pool = this.#router.poolOf(server);
    const idle = pool.take(role === 'primary' ? term : 0);
    const send = (connection: ServerConnection): void => this.#adopt(item, connection, target);
    if (idle !== null) return send(idle);
    pool.open(term).then(
      connection => {
        if (this.#current === item) send(connection);
        else this.#router.giveBack(connection);
      },
      (error: QueryError) => this.#couldNotConnect(item, server, role, error),
    );
  }

  #couldNotConnect(item: Item, server: RoutableServer, role: RouteInfo['role'], error: QueryError): void {
    if (this.#current !== item) return;
    this.#router.suspect();
    // It runs, but does not let us in: no other server would.
    if (!isUnreachable(error)) return this.#fail(item, error);
    if (role === 'primary') return this.#hold(item, RECONNECT_MS);
    this.#router.freshness.failed(server.id, 'not-started');
    item.attempts += 1;
    if (item.attempts >= MAX_ATTEMPTS) item.primaryBecause = `${server.id} could not be connected to: ${error.message}`;
    this.#dispatch(item);
  }

  /** Waits for another topology, at most so long; fails the statement when its time is up. */
  #hold(item: Item, atMostMs: number): void {
    const left = item.arrivedAtMs + this.#router.config.holdTimeoutMs - performance.now();
    if (this.#router.stopped) return this.#fail(item, shuttingDown());
    if (left <= 0) return this.#fail(item, noPrimary(this.#whyNoPrimary()));
    this.#after(item, this.#router.nextTopology(Math.min(left, atMostMs)));
  }

  #whyNoPrimary(): string {
    const { primary } = this.#router.topology;
    return primary.kind === 'absent' ? primary.reason : `${primary.server.id} does not answer (${primary.kind})`;
  }

  #after(item: Item, wait: Promise<void>): void {
    void wait.then(() => this.#dispatch(item));
  }

  // ---- on a connection

  #adopt(item: Item, connection: ServerConnection, target: Target): void {
    connection.owner = this;
    this.#bound = connection;
    const patch = settingsPatch(connection.settings, this.#state.settings.values);
    if (patch === null) return this.#send(item, connection, target);
    connection.ask(patch).then(
      () => {
        connection.settings.clear();
        for (const [name, value] of this.#state.settings.values) connection.settings.set(name, value);
        if (this.#current === item && this.#bound === connection) this.#send(item, connection, target);
      },
      (error: QueryError) => this.#patchFailed(item, connection, target, error),
    );
  }

  /** The server cannot be made like the session. A replica that refuses a setting leaves its reads to the primary. */
  #patchFailed(item: Item, connection: ServerConnection, { role, server }: Target, error: QueryError): void {
    connection.spoiled = true;
    this.#bound = null;
    this.#router.drop(connection);
    if (this.#current !== item) return;
    item.attempts += 1;
    if (item.attempts >= MAX_ATTEMPTS) return this.#fail(item, error);
    if (role === 'replica') item.primaryBecause = `${server.id} does not take the session's settings: ${error.message}`;
    this.#dispatch(item);
  }

  #sendBound(item: Item, unit: Unit, bound: ServerConnection): void {
    const { primary, replicas } = this.#router.topology;
    const onPrimary = primary.kind !== 'absent' && primary.server.id === bound.server;
    const server = onPrimary ? primary.server : replicas.find(replica => replica.id === bound.server);
    const state = this.#state.status === 'I' ? 'the session has state there' : 'in a transaction';
    if (!onPrimary && takesLocks(unit)) return this.#fail(item, lockOnReplica());
    const target = server ?? { id: bound.server, host: bound.client.host, port: bound.client.port, timeline: 0, weight: 0, zone: null };
    this.#send(item, bound, { server: target, role: onPrimary ? 'primary' : 'replica', reason: 'bound', because: state });
  }

  #send(item: Item, connection: ServerConnection, target: Target): void {
    connection.waitCancelled = false;
    connection.markBytes();
    this.#noteSent(item, target);
    if (item.what.kind === 'submittable') return this.#submit(item.what.submittable, connection);
    const query = this.#forServer(item.what.query, item.text, connection);
    connection.client.query(
      query as never,
      undefined as never,
      ((error: QueryError | null, result: unknown) => this.#answered(item, connection, error, result)) as never,
    );
  }

  #noteSent(item: Item, target: Target): void {
    const { freshness, counters } = this.#router;
    item.attempts += 1;
    item.sentAtMs = performance.now();
    item.before = this.#state.status;
    if (target.role === 'replica') freshness.started(target.server.id);
    const info: RouteInfo = {
      role: target.role,
      server: target.server.id,
      host: target.server.host,
      port: target.server.port,
      reason: target.reason,
      because: target.because,
      waitedMs: item.beganAtMs === 0 ? 0 : item.sentAtMs - item.beganAtMs,
      attempt: item.attempts,
      text: item.text,
    };
    this.#state.lastRoute = info;
    const read = item.statement?.unit.demand === 'replica' && item.before === 'I';
    counters.count(info, read ? 'read' : 'other');
    this.emit('route', info);
  }

  /** Options of pg that only a connection of its own can honour. */
  get #hasOwnWays(): boolean {
    const { binary, query_timeout } = this.#options as ClientConfig & { readonly binary?: boolean };
    return Boolean(binary) || Boolean(query_timeout) || pg.defaults.binary === true;
  }

  #submit(submittable: { readonly _result?: { _types?: unknown } }, connection: ServerConnection): void {
    if (submittable._result && !submittable._result._types) submittable._result._types = this.#shell._types;
    // Its end is the connection's `drain`.
    connection.client.query(submittable as never);
  }

  /** The query as pg takes it: with this client's types, and a name that no other client's text has there. */
  #forServer(query: QueryObject, text: string, connection: ServerConnection): QueryObject {
    const types = query.types ?? this.#shell._types;
    const { name } = query;
    if (!name) return { ...query, types };
    let unique = name;
    for (let n = 2; connection.hasOtherStatement(unique, text); n++) unique = `${name}#${n}`;
    return { ...query, types, text, name: unique };
  }

  // ---- what became of it

  onIdle(connection: ServerConnection): void {
    const item = this.#current;
    if (item === null || this.#bound !== connection) return;
    const { what } = item;
    if (what.kind === 'submittable') this.#settle(item, connection, null, undefined);
    else this.#failed?.(connection);
  }

  /** Set while an error waits for its connection to be ready again. */
  #failed: ((connection: ServerConnection) => void) | null = null;

  #answered(item: Item, connection: ServerConnection, error: QueryError | null, result: unknown): void {
    if (this.#current !== item || this.#bound !== connection) return;
    if (!error) return this.#settle(item, connection, null, result);
    if (connection.lost || isFatal(error)) return this.#lost(item, connection, error);
    // The state after an error is known when the connection is ready again; a time-out of pg's own is told at once.
    const told = error.severity === undefined;
    if (told) item.done(error);
    this.#failed = () => {
      this.#failed = null;
      if (told) this.#freed(item, connection);
      else this.#settle(item, connection, error, undefined);
    };
  }

  onLost(connection: ServerConnection): void {
    if (this.#bound !== connection) return;
    this.#failed = null;
    const item = this.#current;
    if (item !== null) return this.#lost(item, connection, null);
    this.#bound = null;
    this.#router.lost(connection);
    this.#state.connectionLost();
  }

  onNotice(notice: unknown): void {
    this.emit('notice', notice as never);
  }

  onNotification(notification: unknown): void {
    this.emit('notification', notification as pg.Notification);
  }

  /** The server has answered, with a result or an error of SQL. */
  #settle(item: Item, connection: ServerConnection, error: QueryError | null, result: unknown): void {
    const { freshness } = this.#router;
    const unit = this.#unitOf(item);
    const onReplica = this.#onReplica(connection);
    const tookMs = performance.now() - item.sentAtMs;
    if (onReplica) freshness.finished(connection.server, tookMs);
    if (error === null && unit.plainRead && item.statement !== null) learnRun(item.statement, tookMs, connection.bytesSinceMark);
    if (error !== null && onReplica && item.before === 'I' && REFUSED.has(error.code ?? '')) return this.#refused(item, connection, error);
    if (error !== null && error.code === '25006') this.#router.suspect();
    const committed = this.#note(item, unit, connection, onReplica);
    if (unit.statements.some(({ reason }) => reason.code === 'ddl')) this.#router.definitionChanged();
    if (unit.effects.some(({ kind }) => kind === 'deallocate' || kind === 'discard')) connection.spoiled = true;
    const problem = error ?? (connection.waitCancelled && committed ? notReplicated() : null);
    if (connection.status === 'I' && this.#state.settings.hasTouched) return this.#learnSettings(item, connection, problem, result);
    if (committed && item.settle !== null) return void item.settle().then(() => this.#finish(item, connection, problem, result));
    this.#finish(item, connection, problem, result);
  }

  /** True: something may have been committed. Called before the caller is told. */
  #note(item: Item, unit: Unit, connection: ServerConnection, onReplica: boolean): boolean {
    const { freshness } = this.#router;
    const committed = this.#state.finished(unit, connection.status);
    if (onReplica) {
      freshness.noteReplicaRead(connection.server, item.session);
      return false;
    }
    if (committed && unit.demand !== 'replica') {
      freshness.noteCommit(item.session);
      return true;
    }
    if (connection.status === 'I') freshness.notePrimaryRead(item.session);
    return false;
  }

  #onReplica({ server }: ServerConnection): boolean {
    const { primary } = this.#router.topology;
    return primary.kind === 'absent' ? primary.last?.id !== server : primary.server.id !== server;
  }

  /** A replica would not: nothing has happened, so the primary runs it. */
  #refused(item: Item, connection: ServerConnection, error: QueryError): void {
    this.#bound = null;
    this.#router.giveBack(connection);
    this.#refusedBy(item, connection.server, error);
  }

  #refusedBy(item: Item, server: string, { code = '', message }: QueryError): void {
    this.#router.counters.countRetry(code);
    if (code === '25006' && item.statement !== null) this.#router.learnRefused(item.statement);
    item.primaryBecause = `${server} refused it: ${message}`;
    this.#dispatch(item);
  }

  /** What the settings are that the statement touched, asked before anything else is sent. */
  #learnSettings(item: Item, connection: ServerConnection, problem: Error | null, result: unknown): void {
    const { settings, pins } = this.#state;
    const names = settings.takeTouched();
    connection.ask(askSettings(names)).then(
      ([row]) => {
        names.forEach((name, i) => {
          const value = row?.[i] ?? null;
          settings.learn(name, value);
          if (value === null) connection.settings.delete(name);
          else connection.settings.set(name, value);
        });
        this.#finish(item, connection, problem, result);
      },
      () => {
        pins.add('settings of unknown name');
        this.#finish(item, connection, problem, result);
      },
    );
  }

  #finish(item: Item, connection: ServerConnection, problem: Error | null, result: unknown): void {
    if (this.#current !== item) return;
    this.#current = null;
    this.#unbindIfFree(connection);
    this.#tell(item, problem, result);
    this.#pump();
  }

  /** The caller was told before; now the connection is free. */
  #freed(item: Item, connection: ServerConnection): void {
    if (this.#current !== item) return;
    this.#state.status = connection.status;
    this.#current = null;
    this.#unbindIfFree(connection);
    this.#pump();
  }

  #unbindIfFree(connection: ServerConnection): void {
    if (this.#bound !== connection) return;
    if (connection.status !== 'I' || this.#state.pinned) return;
    this.#bound = null;
    this.#router.giveBack(connection);
  }

  /** A caller's own fault in a callback is its own. */
  #tell(item: Item, problem: Error | null, result: unknown): void {
    try {
      if (problem !== null) item.done(problem);
      else if (item.what.kind === 'plain') item.done(null, result);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
    if (this.#current === null && this.#queue.length === 0) this.emit('drain');
  }

  #fail(item: Item, error: Error): void {
    if (this.#current !== item) return;
    this.#current = null;
    this.#tell(item, error, undefined);
    // Not from within the caller's own call of query().
    process.nextTick(() => this.#pump());
  }

  // ---- losses

  /** The server is gone, and with it the statement under way. */
  #lost(item: Item, connection: ServerConnection, cause: QueryError | null): void {
    const { freshness, counters } = this.#router;
    const unit = this.#unitOf(item);
    if (this.#onReplica(connection)) freshness.failed(connection.server, 'started');
    this.#bound = null;
    this.#router.lost(connection);
    const before = item.before;
    if (before === 'I' && mayRunAgain(item, unit)) {
      if (item.attempts < MAX_ATTEMPTS) {
        counters.countRetry('lost');
        return this.#dispatch(item);
      }
      return this.#fail(item, noServer(cause?.message ?? 'it was lost again and again'));
    }
    const after = stateAfter(unit.statements, before);
    const mayCommit = groupMayCommit(unit, before, this.#state.wrote || before !== 'I');
    // A server that gave the statement up at an administrator's word has rolled it back.
    const unknown = connection.waitCancelled || (mayCommit && cause?.code !== '57P01');
    this.#state.pins.takeLost();
    this.#state.pins.clearChannels();
    this.#state.lossTold(after === 'I' ? 'I' : 'E');
    const isRead = before === 'I' && unit.demand === 'replica';
    this.#fail(item, unknown ? outcomeUnknown() : isRead ? readInterrupted() : rolledBack());
  }

  #answerLoss(item: Item, unit: Unit): void {
    const failure = this.#state.answerLoss(unit.statements);
    this.#current = null;
    this.#tell(item, failure, localResult('ROLLBACK', [], []));
    process.nextTick(() => this.#pump());
  }

  // ---- answers that no server gives

  #answerHere(item: Item, unit: Unit): void {
    const command = routerCommand(unit.statements as readonly (Statement & { command?: RouterCommand })[]);
    if (command === null) {
      return this.#fail(item, invalidRouterCommand('0A000', 'a statement about understudy.* cannot share a text with other statements'));
    }
    const rowMode = item.what.kind === 'plain' ? item.what.query.rowMode : undefined;
    const answer = (result: unknown): void => {
      if (this.#current !== item) return;
      this.#current = null;
      this.#tell(item, null, result);
      process.nextTick(() => this.#pump());
    };
    switch (command.kind) {
      case 'set':
        if (command.setting.name === 'token')
          return this.#takeToken(item, command.setting.value ?? '', () => answer(localResult('SET', [], [])));
        this.#state.apply(command.setting);
        return answer(localResult('SET', [], []));
      case 'show':
        if (command.variable !== 'token') return answer(shown(command.variable, this.#valueOf(command.variable), rowMode));
        return void settle(this.#router, item.session).then(() =>
          answer(shown('token', tokenNow(this.#router, item.session) ?? '', rowMode)),
        );
      case 'show-table':
        return this.#fail(item, invalidRouterCommand('0A000', `understudy.${command.table} is a table of the proxy; see pool.routes`));
      case 'invalid':
        return this.#fail(item, invalidRouterCommand(command.sqlState, command.message));
      default:
        return command satisfies never;
    }
  }

  /** There is no connection with anything of this session on it: what is remembered is all there is. */
  #discardAll(item: Item): void {
    this.#state.settings.forget();
    this.#names.clear();
    this.#current = null;
    this.#tell(item, null, localResult('DISCARD', [], []));
    process.nextTick(() => this.#pump());
  }

  #takeToken(item: Item, text: string, done: () => void): void {
    if (text === '') return done();
    const problem = takeToken(this.#router, item.session, text);
    if (problem === null) done();
    else this.#fail(item, invalidRouterCommand('22023', `invalid value for understudy.token: ${problem}`));
  }

  #valueOf(variable: 'route' | 'consistency' | 'max_lag_ms' | 'last_route'): string {
    const { wishes, lastRoute } = this.#state;
    switch (variable) {
      case 'route':
        return wishes.route;
      case 'consistency':
        return wishes.consistency;
      case 'max_lag_ms':
        return String(wishes.maxLagMs);
      case 'last_route':
        return lastRoute === null ? 'none' : `${lastRoute.server}: ${lastRoute.because}`;
      default:
        return variable satisfies never;
    }
  }

  /** pg_cancel_backend() and the like for a virtual process id: on the server where that client's statement runs. */
  #routeCancel(item: Item): boolean {
    if (item.what.kind !== 'plain') return false;
    const translated = translate(item.text, item.what.query.values);
    if (translated === null) return false;
    const { topology } = this.#router;
    const servers = topology.primary.kind === 'absent' ? topology.replicas : [topology.primary.server, ...topology.replicas];
    const server = servers.find(({ id }) => id === translated.server) ?? servers[0];
    if (server === undefined) return false;
    const query = { ...item.what.query, text: translated.text, values: translated.values } as QueryObject;
    const role = topology.primary.kind !== 'absent' && topology.primary.server.id === server.id ? 'primary' : 'replica';
    const call = { ...item, what: { kind: 'plain' as const, query }, text: translated.text };
    this.#current = call;
    this.#toServer(call, server, role, 'cancel', 'cancels what runs there');
    return true;
  }
}

/** A query whose answer is all rows, as text. */
function isSimple({ name, rows, portal, binary, query_timeout }: QueryObject): boolean {
  return !name && !rows && !portal && !binary && !query_timeout;
}

/** Parameters as they would be sent; null: they cannot be, which the usual way reports as pg does. */
function valuesOf({ values }: QueryObject): ReturnType<typeof wireValues> {
  try {
    return wireValues(values);
  } catch {
    return null;
  }
}

interface Target {
  readonly server: RoutableServer;
  readonly role: RouteInfo['role'];
  readonly reason: string;
  readonly because: string;
}

/** As pg: rejects when the limit has passed; 0 waits without end. */
function withinTime(work: Promise<void>, limitMs: number): Promise<void> {
  if (limitMs <= 0) return work;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('timeout expired')), limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** BEGIN READ ONLY and nothing else: a replica can take the whole transaction. */
function beginsReadOnly({ statements, hints }: Unit): boolean {
  const [first] = statements;
  if (statements.length !== 1 || first?.kind !== 'transaction' || first.control.kind !== 'begin') return false;
  const { readOnly, isolation } = first.control.modes;
  return readOnly === true && isolation !== 'serializable' && hints.route !== 'primary';
}

/** DISCARD ALL by itself. */
function discardsAll({ statements, effects }: Unit): boolean {
  const [effect] = effects;
  return statements.length === 1 && effect?.kind === 'discard' && effect.target === 'all';
}

/** On a replica such a statement would succeed and protect nothing. */
function takesLocks({ effects }: Unit): boolean {
  return effects.some(({ kind }) => kind === 'advisory-lock');
}

/** Nothing can have come of it: a read whose rows nobody has seen, or a BEGIN. */
function mayRunAgain({ what }: Item, { demand, statements }: Unit): boolean {
  if (what.kind !== 'plain') return false;
  if (demand === 'replica') return true;
  return statements.length === 1 && statements[0]?.kind === 'transaction' && statements[0].control.kind === 'begin';
}
