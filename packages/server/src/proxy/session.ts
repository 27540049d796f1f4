import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import {
  type Choice,
  type ConsistencyLevel,
  describeRoute,
  EVENTUAL,
  observe,
  type RoutableServer,
  type RouteReason,
  writesElsewhere,
} from '@understudy/core/routing';
import { describeReason, type SqlClassifier } from '@understudy/core/sql';
import { backend, type ErrorFields, FrameScanner, Frontend, frontend, ProtocolError, type TransactionStatus } from '@understudy/wire';
import { ClientReader, type UnitReceiver } from './client-reader.ts';
import { ClientStream } from './client-stream.ts';
import { awaitsParse, type ClientMessage, type ClientUnit, mayWrite, isAboutSettings, noteLoss, writesRows } from './client-unit.ts';
import {
  canceled,
  holdFull,
  internalError,
  noPrimary,
  noServer,
  ProxyFailure,
  protocolViolation,
  standbyCluster,
  standbyLevel,
} from './errors.ts';
import { answeredStatement, type Flight, newFlight } from './flight.ts';
import { type FlightObserver, Flights, MAX_ATTEMPTS } from './flights.ts';
import { changesCode } from './hiding-triggers.ts';
import type { LaneRead, LaneRider } from './lane.ts';
import { aloneMs, learnRun, mayRide, type OpeningOutcome } from './lanes.ts';
import type { Activity, TimedClient } from './limits.ts';
import { judgeLoss } from './loss.ts';
import { OwnAnswers } from './own-answers.ts';
import { Superseded } from './pool.ts';
import type { PoolUser } from './pool-users.ts';
import { takeToken } from './router-answers.ts';
import { levelOf, type RouterWishes } from './router-state.ts';
import { type SendContext, sendUnit } from './send-unit.ts';
import { type ServerConnection, StatementRefused } from './server-connection.ts';
import { LoginRefused } from './server-login.ts';
import type { SessionContext } from './session-context.ts';
import { applySettings, resetSettings } from './server-settings.ts';
import { auditSession, learnSettings, SessionServers } from './session-servers.ts';
import { greet, isFinal, RECONNECT_MS } from './session-start.ts';
import { SessionState } from './session-state.ts';
import { SessionSettings } from './settings.ts';
import { SettingsSet } from './settings-set.ts';
import { UnitQueue } from './unit-queue.ts';

const STREAMED: ReadonlySet<number> = new Set([Frontend.copyData]);
/** A client that does not close its side after the proxy has ended the session is cut off. */
const LINGER_MS = 5_000;
/** So many units after the last one that was sent ahead, a client counts as one that waits for each answer. */
const PIPELINED_UNITS = 64;
/** Noted for an answer that was too large for a lane, of which the size is not known. */
const TOO_LARGE_BYTES = 1024 * 1024;

/** Whether the head of the queue was sent or answered, or must wait. */
type Dispatch = 'served' | 'blocked';

export interface SessionRequest {
  readonly context: SessionContext;
  readonly socket: Socket;
  readonly user: PoolUser;
  /** What the client set when it connected. */
  readonly settings: SettingsSet;
  readonly wishes: RouterWishes;
  /** The token that the client connected with. */
  readonly token: string | null;
  readonly onEnd: () => void;
}

/**
 * One client from its first ReadyForQuery on. Its units of work run strictly in order; the next one is sent ahead only to the connection that
 * works already. Everything that may let the head of the queue go on ends in #pump, which decides anew from the state as it is then.
 */
export class Session implements UnitReceiver, FlightObserver, LaneRider, TimedClient {
  readonly #context: SessionContext;
  readonly #socket: Socket;
  readonly #client: ClientStream;
  readonly #database: string;
  readonly #classifier: SqlClassifier;
  readonly #sending: SendContext;
  readonly #scanner: FrameScanner;
  readonly #state: SessionState;
  readonly #own: OwnAnswers;
  readonly #flights: Flights;
  readonly #servers: SessionServers;
  readonly #queue: UnitQueue = new UnitQueue();
  readonly #onEnd: () => void;
  readonly #token: string | null;
  /** The read that a lane carries for this client. */
  #laneRead: LaneRead | null = null;
  /** The client sends ahead: a connection of its own serves its pipeline better than a place in a lane. Counts down. */
  #pipelined = 0;
  /** The head of the queue waits for something whose end pumps. */
  #blocked = false;
  /** The primary is asked what a transaction that is over has made of the session. */
  #isAskingPrimary = false;
  #pumping = false;
  /** Connections lost so far: tells the loop of #pump that one was lost under its hands. */
  #losses = 0;
  /** Ends the wait of the head, for a cancel. */
  #cancelWait: (() => void) | null = null;
  #ended = false;
  #unitsSent = 0;

  constructor({ context, socket, user, settings, wishes, token, onEnd }: SessionRequest) {
    this.#context = context;
    this.#socket = socket;
    this.#client = new ClientStream(socket);
    this.#database = user.database;
    this.#classifier = context.databases.classifierOf(user.database);
    this.#sending = { texts: context.databases.textsOf(user.database), maxServerStatements: context.options.maxServerStatements };
    const reader = new ClientReader(this, this.#classifier, this.#sending.texts, context.options.maxRetryBytes);
    this.#scanner = new FrameScanner(reader, {
      streamed: STREAMED,
      streamedFromBytes: 0,
      maxAssembledBytes: context.options.maxMessageBytes,
    });
    this.#state = new SessionState(wishes, new SessionSettings(settings, user.identity.user));
    this.#token = token;
    this.#own = new OwnAnswers(context, this.#state, this.#client);
    this.#flights = new Flights(this, this.#client, () => this.#state.wrote);
    this.#servers = new SessionServers(context, this.#flights, user);
    this.#onEnd = onEnd;
  }

  /** Tells the client its settings and the key for cancels, and begins to serve. Throws ProxyFailure, or what a server refused. */
  async begin(key: Buffer, early: Buffer): Promise<void> {
    this.#socket.on('close', () => this.end());
    this.#socket.on('error', () => this.end());
    if (this.#token !== null) {
      const taken = takeToken(this.#token, this.#state, this.#context);
      if (taken instanceof ProxyFailure) throw new ProxyFailure({ ...taken.fields, severity: 'FATAL' });
    }
    this.#client.tellSettings(await greet(this.#context, this.#servers, this.#state.settings.current, () => this.#ended));
    this.#client.add(key);
    this.#client.add(backend.READY.I);
    this.#client.flush();
    this.#socket.on('data', chunk => this.#onData(chunk as Buffer));
    this.#socket.on('drain', () => this.#onClientDrained());
    if (early.length > 0) this.#onData(early);
    this.#socket.resume();
  }

  // ---- the client's messages

  #onData(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    this.#flushServers();
    this.flushClient();
    this.#updateReading();
  }

  /** An error of the proxy itself must cost one client its session, never all of them. */
  #giveUp(error: unknown): void {
    if (error instanceof ProtocolError) return this.fail(protocolViolation(error.message));
    this.#context.onEvent({
      kind: 'warning',
      message: `a session was ended by an internal error: ${(error as Error).stack ?? String(error)}`,
    });
    this.fail(internalError());
  }

  onUnit(unit: ClientUnit): void {
    if (this.#laneRead !== null || this.#flights.size > 0) this.#pipelined = PIPELINED_UNITS;
    else if (this.#pipelined > 0) this.#pipelined -= 1;
    this.#unitsSent += 1;
    this.#queue.put(unit);
    this.#pump();
  }

  onCopy(message: ClientMessage): void {
    const waiting = this.#queue.last;
    const flight = this.#flights.last;
    if (waiting !== undefined && waiting.sent === 0) {
      // Sent ahead of the answer that invites it: it goes right behind its statement.
      waiting.messages.push(message);
      waiting.bytes += message.end - message.start;
      this.#queue.put(waiting);
    } else if (flight !== undefined && !flight.from.lost) {
      if (message.type !== Frontend.copyData) flight.from.expectations.copyEnded();
      flight.from.out.range(message.chunk, message.start, message.end);
    }
    // Otherwise nothing runs: like PostgreSQL, ignore what is left of a copy that has failed.
  }

  takesLoneSync(message: ClientMessage): boolean {
    const flight = this.#flights.last;
    if (flight === undefined || this.#queue.size > 0 || flight.from.lost) return false;
    const { expectations } = flight.from;
    if (!expectations.copyingIn && expectations.size > 0) return false;
    flight.from.out.range(message.chunk, message.start, message.end);
    flight.from.expect({ kind: 'sync', hidden: false, settle: null, rows: null });
    return true;
  }

  onTerminate(): void {
    this.end();
  }

  nowMs(): number {
    return performance.now();
  }

  // ---- from the queue to a server

  #pump(): void {
    // A connection that breaks while a unit is sent on it calls back in here: the loop that runs goes on with what is left.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#blocked && !this.#ended && this.#serveHead());
    } catch (error) {
      this.#giveUp(error);
    }
    this.#pumping = false;
    this.#releaseFree();
    this.#updateReading();
  }

  /** Others wait for the connection that the session keeps busy: it is given back as soon as all is answered. */
  #mustYield(): boolean {
    const last = this.#flights.last;
    if (last !== undefined) return this.#predicted() === 'I' && this.#servers.mustYield(last.from);
    this.#servers.each(connection => {
      if (this.#servers.mustYield(connection)) this.#releaseFree();
    });
    return false;
  }

  /** Gives back the connections that nothing is under way on and that hold nothing of the session. */
  #releaseFree(): void {
    if (this.#flights.size > 0 || this.#blocked || this.#ended) return;
    const { primary, replica } = this.#servers;
    if (primary === null && replica === null) return;
    this.flushClient();
    if (replica !== null && replica.idle) this.#servers.release(replica);
    if (primary !== null && primary.idle && this.#state.status === 'I' && !this.#keepsPrimary(primary)) this.#servers.release(primary);
  }

  #keepsPrimary(primary: ServerConnection): boolean {
    switch (this.#context.options.poolMode) {
      case 'session':
        return true;
      case 'auto':
        return this.#state.pins.holds;
      case 'transaction':
        if (!this.#state.pins.holds) return false;
        // What it holds is not kept for it, but not left to others either.
        this.#state.pins.drop();
        this.#servers.forget(primary);
        primary.owner = null;
        primary.destroy(new Error('the session left state on its connection'));
        return true;
    }
  }

  /** True: look at the queue again. */
  #serveHead(): boolean {
    const unit = this.#queue.head;
    // A client that does not read its answers gets no new ones.
    if (unit === undefined || this.#laneRead !== null || (unit.sent === 0 && this.#socket.writableNeedDrain)) return false;
    if (unit.sent === 0 && this.#mustYield()) return false;
    const losses = this.#losses;
    if (this.#dispatch(unit) === 'blocked') return losses !== this.#losses;
    this.#queue.served(unit);
    return unit.complete;
  }

  #dispatch(unit: ClientUnit): Dispatch {
    if (unit.sent > 0 && !unit.skipped) return this.#continueOpen(unit);
    if (this.#flights.size > 0 && awaitsParse(unit)) return 'blocked';
    const aside = unit.skipped || unit.texts.some(t => t.unit.demand === 'router') || this.#state.hasLoss;
    if (aside) return this.#flights.size > 0 ? 'blocked' : this.#answerHere(unit);
    if (unit.texts.some(t => t.unit.unknownFunctions.length > 0)) this.#context.databases.functionsWanted(this.#database);
    const replica = this.#transactionReplica();
    if (replica !== null) return this.#send(unit, replica, 'in a read-only transaction');
    const because = this.#state.whyPrimary(unit, this.#predicted());
    if (because !== null) return this.#dispatchPrimary(unit, because);
    const isStandby = writesElsewhere(this.#context.watch.topology) !== null;
    if (unit.demand === 'replica' || this.#state.beginsOnReplica(unit, isStandby ? 'standby' : 'takes-writes'))
      return this.#dispatchRead(unit);
    // A replica checks it as well, and the session has it wherever it goes.
    if (isStandby && isAboutSettings(unit)) return this.#dispatchRead(unit, EVENTUAL);
    return this.#dispatchPrimary(unit, reasonOf(unit));
  }

  /** Transaction status once all that is under way has gone well. */
  #predicted(): TransactionStatus {
    return this.#flights.last?.after ?? this.#state.status;
  }

  /** The connection of a read-only transaction on a replica that is open, or will be once all that is under way has gone well. */
  #transactionReplica(): ServerConnection | null {
    if (this.#predicted() === 'I') return null;
    const on = this.#flights.last?.from ?? (this.#state.onReplica ? this.#servers.replica : null);
    return on !== null && on.role === 'replica' && !on.lost ? on : null;
  }

  #dispatchPrimary(unit: ClientUnit, because: string): Dispatch {
    const last = this.#flights.last;
    if (last !== undefined && last.from.role !== 'primary') return 'blocked';
    const { term, primary } = this.#context.watch.topology;
    const { settings } = this.#state;
    let connection = this.#servers.primary;
    if (connection === null && last === undefined && primary.kind === 'open' && this.#state.pins.channels.size === 0) {
      connection = this.#servers.take(primary.server, 'primary', term, settings.current);
    }
    const usable = connection !== null && !connection.lost && connection.term === term;
    if (usable && (primary.kind === 'open' || (primary.kind === 'draining' && this.#predicted() !== 'I'))) {
      if (last === undefined) {
        const preparation = this.#preparePrimary(unit, connection as ServerConnection);
        if (preparation !== null)
          return this.#block(preparation.catch(error => unlessLost(connection as ServerConnection, error as Error)));
        this.#client.tellSettings((connection as ServerConnection).parameters);
      }
      return this.#send(unit, connection as ServerConnection, because);
    }
    if (last !== undefined) return 'blocked';
    if (primary.kind === 'open' && connection === null) return this.#block(this.#openPrimary(unit, primary.server, term));
    if (connection !== null && connection.idle && !this.#state.pins.holds) this.#servers.release(connection);
    const elsewhere = writesElsewhere(this.#context.watch.topology);
    if (elsewhere !== null) return this.#answerFailure(unit, standbyCluster(elsewhere));
    return this.#block(this.#hold(unit, Number.POSITIVE_INFINITY));
  }

  /** What must be done before the unit can be sent to a connection that nothing is under way on; null: nothing. */
  #preparePrimary(unit: ClientUnit, connection: ServerConnection): Promise<void> | null {
    const { settings } = this.#state;
    if (this.#state.status !== 'I') return null;
    if (connection.tainted && connection.lastSession !== this) return resetSettings(connection);
    if (!connection.applied.equals(settings.current)) return applySettings(connection, settings.current);
    // What another client's statements left of sequences must not answer this one's.
    if (connection.lastSession !== this && unit.effects.some(e => e.kind === 'read-sequence-state')) {
      connection.lastSession = this;
      return connection.ask('DISCARD SEQUENCES').then(() => undefined);
    }
    return null;
  }

  async #openPrimary(unit: ClientUnit, server: RoutableServer, term: number): Promise<void> {
    try {
      const connection = await this.#acquire(unit, server, 'primary', term);
      await listenAgain(connection, this.#state.pins.channels);
    } catch (error) {
      if (error instanceof Superseded) return;
      if (isFinal(error)) this.#failHead(unit, new ProxyFailure({ ...error.fields, severity: 'ERROR' }));
      else await this.#hold(unit, RECONNECT_MS);
    }
  }

  /** A client that only listens sends nothing: it must hear of the new primary's notifications all the same. */
  #keepListening(): void {
    const { topology } = this.#context.watch;
    const { channels } = this.#state.pins;
    if (channels.size === 0 || this.#servers.primary !== null || this.#blocked || this.#queue.size > 0 || this.#flights.size > 0) return;
    if (topology.primary.kind !== 'open') return;
    const { server } = topology.primary;
    const listening = this.#servers
      .acquire(server, 'primary', topology.term)
      .then(connection => listenAgain(connection, channels))
      .catch(() => this.#context.watch.nextTopology(RECONNECT_MS).over);
    this.#block(listening);
  }

  /** Waits for a connection; a cancel ends the wait. */
  async #acquire(unit: ClientUnit, server: RoutableServer, role: 'primary' | 'replica', term: number): Promise<ServerConnection> {
    this.#cancelWait = () => {
      this.#servers.cancelAcquisition();
      this.#failHead(unit, canceled());
    };
    try {
      return await this.#servers.acquire(server, role, term);
    } finally {
      this.#cancelWait = null;
    }
  }

  /** Waits for another topology, at most so long; fails the unit when its time is up. */
  async #hold(unit: ClientUnit, atMostMs: number): Promise<void> {
    const { watch, options, stats } = this.#context;
    const left = unit.arrivedAtMs + options.holdTimeoutMs - performance.now();
    if (left <= 0) {
      stats.holdFailures['timed-out'] += 1;
      return this.#failHead(unit, noPrimary(watch.reason));
    }
    if (!watch.hasRoom) {
      stats.holdFailures.full += 1;
      return this.#failHead(unit, holdFull());
    }
    if (unit.heldAtMs === 0) unit.heldAtMs = performance.now();
    const wait = watch.nextTopology(Math.min(left, atMostMs));
    this.#cancelWait = () => {
      wait.cancel();
      this.#failHead(unit, canceled());
    };
    await wait.over;
    this.#cancelWait = null;
  }

  /** Blocks the head until the work is done; then everything is decided anew. */
  #block(work: Promise<void>): Dispatch {
    this.#blocked = true;
    const failed = (error: unknown): void => {
      const { head } = this.#queue;
      if (head === undefined) return;
      const fields = error instanceof StatementRefused ? error.fields : null;
      this.#failHead(head, fields === null ? noServer((error as Error).message) : new ProxyFailure(fields));
    };
    void work.catch(failed).finally(() => {
      this.#blocked = false;
      this.#pump();
      this.#keepListening();
      this.flushClient();
    });
    return 'blocked';
  }

  // ---- reads

  #dispatchRead(unit: ClientUnit, asked: ConsistencyLevel | null = null): Dispatch {
    const { freshness } = this.#context;
    const { wishes, causality, settings } = this.#state;
    unit.need ??= freshness.needNow();
    const level = asked ?? levelOf(unit.texts[0]?.unit.hints.consistency ?? wishes.consistency, wishes.maxLagMs);
    const last = this.#flights.last;
    if (last !== undefined) {
      const follows =
        last.from.role === 'replica' &&
        !last.split &&
        last.from.applied.equals(settings.current) &&
        freshness.mayFollow(last.from.member, level, unit.need, causality);
      return follows ? this.#send(unit, last.from, describeRoute('fresh-replica')) : 'blocked';
    }
    const { replica } = this.#servers;
    if (replica !== null && freshness.mayFollow(replica.member, level, unit.need, causality)) {
      return this.#dispatchReplica(unit, replica, describeRoute('fresh-replica'));
    }
    if (replica !== null) this.#servers.release(replica);
    const now = performance.now();
    if (unit.beganAtMs === 0) unit.beganAtMs = now;
    return this.#follow(unit, freshness.choose({ wish: wishes.route, level, waitedMs: now - unit.beganAtMs }, unit.need, causality));
  }

  #follow(unit: ClientUnit, choice: Choice): Dispatch {
    switch (choice.kind) {
      case 'primary':
        return this.#dispatchPrimary(unit, describeRoute(choice.reason));
      case 'replica':
        return this.#dispatchToReplica(unit, choice.replica.server, describeRoute(choice.reason));
      case 'wait-probe':
      case 'wait-replay':
        return this.#block(this.#context.freshness.until(choice));
      case 'hold':
        return this.#block(this.#hold(unit, Number.POSITIVE_INFINITY));
      case 'error':
        return this.#answerFailure(unit, this.#failureOf(choice.reason));
      default:
        return choice satisfies never;
    }
  }

  #failureOf(reason: RouteReason): ProxyFailure {
    const elsewhere = writesElsewhere(this.#context.watch.topology);
    if (elsewhere === null) return noServer(describeRoute(reason));
    if (reason === 'standby-level') return standbyLevel(elsewhere);
    return reason === 'standby-cluster' ? standbyCluster(elsewhere) : noServer(describeRoute(reason));
  }

  #dispatchToReplica(unit: ClientUnit, server: RoutableServer, because: string): Dispatch {
    const { term } = this.#context.watch.topology;
    if (this.#pipelined === 0 && mayRide(unit, this.#state.settings.current)) {
      const ride = this.#ride(unit, server, term, because);
      if (ride !== null) return ride;
    }
    const connection = this.#servers.take(server, 'replica', term, this.#state.settings.current);
    return connection === null ? this.#block(this.#openReplica(unit, server, term)) : this.#dispatchReplica(unit, connection, because);
  }

  /** Sends the read on a lane, among those of other clients. Null: there is no room on one. */
  #ride(unit: ClientUnit, server: RoutableServer, term: number, because: string): Dispatch | null {
    const { lanes, freshness } = this.#context;
    const settings = this.#state.settings.current;
    const { user } = this.#servers;
    const ride = lanes.send({ unit, rider: this, server, term, user, settings, sending: this.#sending });
    if (ride === null) return null;
    if (ride instanceof Promise) return this.#block(this.#awaitLane(unit, server, ride));
    this.#laneRead = ride;
    if (unit.heldAtMs > 0) this.#noteHold(unit);
    freshness.started(server.id);
    this.#state.last = { member: server.id, because };
    unit.attempts += 1;
    return 'served';
  }

  /** Waits for a lane that is being opened; without one the read runs alone. A cancel ends the wait. */
  async #awaitLane(unit: ClientUnit, server: RoutableServer, opening: Promise<OpeningOutcome>): Promise<void> {
    const cancelled = new Promise<OpeningOutcome>(resolve => {
      this.#cancelWait = () => {
        this.#failHead(unit, canceled());
        resolve('withdrawn');
      };
    });
    const outcome = await Promise.race([opening, cancelled]);
    this.#cancelWait = null;
    if (outcome === 'open') return;
    unit.alone = true;
    if (outcome === 'failed') this.#openingFailed(unit, server);
  }

  #dispatchReplica(unit: ClientUnit, connection: ServerConnection, because: string): Dispatch {
    if (!connection.applied.equals(this.#state.settings.current)) return this.#block(this.#patchReplica(unit, connection));
    return this.#send(unit, connection, because);
  }

  async #openReplica(unit: ClientUnit, server: RoutableServer, term: number): Promise<void> {
    try {
      await this.#acquire(unit, server, 'replica', term);
    } catch (error) {
      if (error instanceof Superseded) return;
      if (error instanceof ProxyFailure) return this.#failHead(unit, error);
      this.#openingFailed(unit, server);
      const hopeless = unit.openingsFailed >= MAX_ATTEMPTS || error instanceof LoginRefused;
      if (hopeless) unit.primaryBecause = `${server.id} could not be connected to: ${(error as Error).message}`;
    }
  }

  /** Counts against the server, so that another replica is chosen. */
  #openingFailed(unit: ClientUnit, server: RoutableServer): void {
    this.#context.freshness.failed(server.id, 'not-started');
    unit.openingsFailed += 1;
  }

  async #patchReplica(unit: ClientUnit, connection: ServerConnection): Promise<void> {
    try {
      await applySettings(connection, this.#state.settings.current);
    } catch (error) {
      unit.primaryBecause = `${connection.member} does not take the session's settings: ${(error as Error).message}`;
      // It cannot be made like the session, so reads stay on the primary.
      if (connection.lost) return;
      if (connection.applied === SettingsSet.EMPTY) this.#state.refusedByReplicas = this.#state.settings.current;
      else connection.destroy(error as Error);
    }
  }

  // ---- sending

  #send(unit: ClientUnit, to: ServerConnection, because: string): Dispatch {
    if (unit.sent === 0) {
      if (unit.heldAtMs > 0) this.#noteHold(unit);
      const repeatable = this.#predicted() === 'I' && (to.role === 'replica' || unit.kind === 'extended');
      const retry = repeatable && unit.complete && unit.bytes <= this.#context.options.maxRetryBytes ? 'may-retry' : 'final';
      this.#flights.push(newFlight(unit, to, this.#predicted(), retry, performance.now(), because));
      this.#context.freshness.started(to.member);
      this.#state.last = { member: to.member, because };
      unit.attempts += 1;
      if (unit.statements.some(s => s.reason.code === 'whole-database')) {
        this.#context.pools.closeIdle();
        this.#context.peers.tell({ kind: 'close-idle' });
      }
    }
    to.lastSession = this;
    this.#servers.sent();
    sendUnit(unit, to, this.#sending);
    to.out.flush();
    return 'served';
  }

  /** What was held is on its way. */
  #noteHold(unit: ClientUnit): void {
    observe(this.#context.stats.holds, performance.now() - unit.heldAtMs);
    unit.heldAtMs = 0;
  }

  /** More of a unit whose beginning is already on a server. */
  #continueOpen(unit: ClientUnit): Dispatch {
    const flight = this.#flights.last;
    if (flight === undefined || flight.unit !== unit) return 'blocked';
    if (flight.from.role === 'primary' || unit.demand === 'replica' || flight.before !== 'I' || flight.failed)
      return this.#send(unit, flight.from, '');
    return this.#split(unit, flight);
  }

  /** A unit began with reads on a replica and goes on with something for the primary: nothing ties the two together but the answers' order. */
  #split(unit: ClientUnit, flight: Flight): Dispatch {
    flight.split = true;
    for (const message of unit.messages.splice(0, unit.sent)) unit.bytes -= message.end - message.start;
    unit.sent = 0;
    unit.primaryBecause = reasonOf(unit);
    const settle = (): void => {
      this.#flights.dropHead();
      this.#context.freshness.abandoned(flight.from.member);
      unit.skipped = flight.failed;
      this.#pump();
      this.flushClient();
    };
    flight.from.expect({ kind: 'sync', hidden: true, settle, rows: null });
    flight.from.out.add(frontend.SYNC);
    flight.from.out.flush();
    return 'blocked';
  }

  // ---- answers that no server gives

  #answerHere(unit: ClientUnit): Dispatch {
    const later = this.#own.answer(unit);
    if (later === null) return 'served';
    return this.#block(
      later.then(results => {
        if (results === null || this.#queue.head !== unit) return;
        this.#own.give(unit, results);
        this.#queue.served(unit);
      }),
    );
  }

  #answerFailure(unit: ClientUnit, failure: ProxyFailure): Dispatch {
    this.#own.fail(unit, failure);
    return 'served';
  }

  /** The head of the queue fails while it waits. */
  #failHead(unit: ClientUnit, failure: ProxyFailure): void {
    if (this.#queue.head !== unit) return;
    this.#answerFailure(unit, failure);
    this.#queue.served(unit);
    this.flushClient();
  }

  // ---- what became of units under way

  onCommitSeen(): void {
    this.#context.freshness.noteCommit(this.#state.causality);
  }

  onFinished(flight: Flight, status: TransactionStatus): void {
    const { unit, from } = flight;
    const { stats, statements, freshness, databases, pools } = this.#context;
    if (statements.active) statements.note(answeredStatement(flight, performance.now()));
    const read = unit.demand === 'replica' && (flight.before === 'I' || from.role === 'replica');
    if (read) stats.countRead(from.member);
    const tookMs = performance.now() - flight.sentAtMs;
    freshness.finished(from.member, tookMs);
    stats.answered(from.member, tookMs);
    const mayHide =
      unit.kind === 'function' ||
      unit.runsUnknown ||
      unit.texts.some(t => databases.mayHideEffects(this.#database, t.unit)) ||
      (from.role === 'primary' && writesRows(unit) && databases.writesMayHide(this.#database));
    from.tainted ||= mayHide;
    if (from.role === 'replica') {
      const [text] = unit.texts;
      const ms = aloneMs(tookMs, from.pool?.busyCount ?? 1);
      if (text !== undefined && unit.statements.length === 1) learnRun(text, ms, flight.bytes);
      freshness.noteReplicaRead(from.member, this.#state.causality);
      const inTransaction = flight.before !== 'I' || status !== 'I' || (unit.effects.length > 0 && isAboutSettings(unit));
      from.tainted ||= inTransaction && this.#state.finishedOnReplica(flight, status) === 'spoiled';
      return;
    }
    if (mayWrite(unit)) stats.writes += 1;
    if (unit.statements.some(s => s.reason.code === 'ddl')) {
      const code = unit.texts.some(changesCode);
      databases.definitionChanged(this.#database, code);
      pools.definitionChanged(this.#database);
      this.#context.peers.tell({ kind: 'definition-changed', database: this.#database, code });
    }
    if (this.#state.finishedOnPrimary(flight, status, mayHide)) freshness.noteCommit(this.#state.causality);
    else if (status === 'I' && (flight.before !== 'I' || unit.demand === 'replica')) freshness.notePrimaryRead(this.#state.causality);
  }

  onLaneAnswer(read: LaneRead, from: ServerConnection, serviceMs: number): void {
    const { stats, statements, freshness } = this.#context;
    this.#laneRead = null;
    if (statements.active) {
      const { unit, sentAtMs } = read;
      const because = this.#state.last?.because ?? '';
      statements.note(answeredStatement({ unit, from, before: 'I', because, sentAtMs }, performance.now()));
    }
    stats.countRead(from.member);
    stats.laneReads += 1;
    const tookMs = performance.now() - read.sentAtMs;
    freshness.finished(from.member, tookMs);
    stats.answered(from.member, tookMs);
    freshness.noteReplicaRead(from.member, this.#state.causality);
    const [text] = read.unit.texts;
    if (text !== undefined) learnRun(text, serviceMs, read.bytes);
    for (const part of read.parts) this.#client.add(part);
    this.#pump();
    this.flushClient();
  }

  onLaneRefusal(read: LaneRead, from: ServerConnection, cause: ErrorFields): void {
    this.#context.freshness.abandoned(from.member);
    this.onRefused({ unit: read.unit, from }, cause);
    this.#runAlone(read);
  }

  onLaneLeft(read: LaneRead, from: ServerConnection, why: 'lost' | 'shed' | 'too-large'): void {
    const { stats, freshness } = this.#context;
    stats.countRetry(`lane-${why}`);
    if (why === 'lost') {
      freshness.failed(from.member, 'started');
      noteLoss(read.unit, from.member, performance.now());
    } else {
      freshness.abandoned(from.member);
      read.unit.attempts -= 1;
    }
    const [text] = read.unit.texts;
    if (why === 'too-large' && text !== undefined) learnRun(text, 0, TOO_LARGE_BYTES);
    this.#runAlone(read);
  }

  #runAlone(read: LaneRead): void {
    this.#laneRead = null;
    read.unit.alone = true;
    this.#queue.putBack([read.unit]);
    this.#pump();
    this.flushClient();
  }

  /** What the lane still says is not for this client any more. */
  #leaveLane(): ClientUnit | null {
    const read = this.#laneRead;
    if (read === null) return null;
    this.#laneRead = null;
    read.rider = null;
    this.#context.freshness.abandoned(this.#state.last?.member ?? '');
    return read.unit;
  }

  onSettled({ from }: Flight, status: TransactionStatus): void {
    if (status === 'I' && this.#flights.size === 0) {
      if (from.role === 'primary') this.#settle(from);
      else this.#settleReplica(from);
    }
    this.#pump();
  }

  /** A transaction is over: nothing is sent anywhere before it is known what it has made of the session. */
  #settle(primary: ServerConnection): void {
    const { settings, pins } = this.#state;
    primary.prepared.inDoubt = false;
    const unknown = (): void => {
      pins.add('settings that cannot be known');
    };
    if (!pins.inDoubt && !settings.hasTouched) return;
    this.#isAskingPrimary = true;
    const answer = pins.inDoubt ? auditSession(primary, this.#state, this.#servers.user) : learnSettings(primary, this.#state);
    this.#block(
      answer.catch(unknown).finally(() => {
        this.#isAskingPrimary = false;
      }),
    );
  }

  /** A read-only transaction on a replica is over: what it has set for the session is asked for there. */
  #settleReplica(replica: ServerConnection): void {
    const { settings, pins } = this.#state;
    const part = (): void => {
      if (replica.tainted) replica.destroy(new Error('a read-only transaction left state on its connection'));
    };
    if (!settings.hasTouched) return part();
    this.#block(
      learnSettings(replica, this.#state)
        .catch(() => pins.add('settings that cannot be known'))
        .then(part),
    );
  }

  onRefused({ unit, from }: Pick<Flight, 'unit' | 'from'>, cause: ErrorFields): void {
    this.#context.stats.countRetry(cause.code);
    unit.primaryBecause = `${from.member} refused it: ${cause.message}`;
    if (cause.code === '25006') {
      for (const text of unit.texts) this.#classifier.learnRefusedReadOnly(text);
      unit.demand = 'primary';
    }
    if (cause.code === '0A000' && cause.message.includes('hot standby')) this.#state.refusedByReplicas = this.#state.settings.current;
  }

  onAgain(units: readonly ClientUnit[], from: ServerConnection): void {
    for (let i = 0; i < units.length; i++) this.#context.freshness.abandoned(from.member);
    this.#queue.putBack(units);
    this.#pump();
  }

  onConnectionLost(from: ServerConnection, lost: readonly Flight[], again: readonly ClientUnit[], why: Error): void {
    this.#servers.forget(from);
    this.#losses += 1;
    if (this.#ended) return;
    // The client waits for the rest of a row: whatever it is told would be taken for that.
    if (from.isMidRow && lost[0]?.answered) return this.end();
    if (from.role === 'primary') this.#state.primaryLost(lost.length > 0);
    else this.#state.replicaLost(lost.length > 0);
    if (lost.length > 0) this.#judge(lost, [...again], why);
    this.#pump();
    this.flushClient();
  }

  #judge(lost: readonly Flight[], again: ClientUnit[], why: Error): void {
    const verdicts = judgeLoss(lost, lost[0]?.before ?? 'I', this.#state.wrote, lost[0]?.from.role ?? 'primary');
    lost.forEach((flight, i) => {
      const { unit, from } = flight;
      const verdict = verdicts[i];
      if (verdict === undefined) return;
      this.#context.freshness.failed(from.member, 'started');
      noteLoss(unit, from.member, performance.now());
      if (!flight.again && verdict.kind === 'failed') this.#own.tell(unit, flight.replaced ?? verdict.failure, verdict.status);
      else if (unit.attempts >= MAX_ATTEMPTS) this.#own.tell(unit, noServer(why.message), 'I');
      else again.push(unit);
    });
    this.#state.lossTold(this.#state.status);
    if (again.length === 0) return;
    this.#context.stats.countRetry('lost');
    this.#queue.putBack(again);
  }

  onSessionEnded(): void {
    this.end();
  }

  // ---- from outside

  /** Connections of an older term carry nothing more, nor do those to a member that is no replica any more. */
  onTopology(): void {
    const { topology } = this.#context.watch;
    this.#servers.each(connection => {
      if (connection.role === 'primary') {
        if (connection.term < topology.term) connection.destroy(new Error(`term ${topology.term} has begun`));
      } else if (!topology.replicas.some(r => r.id === connection.member)) {
        connection.destroy(new Error(`${connection.member} is no replica any more`));
      }
    });
    this.#keepListening();
  }

  /** A transaction is open on the primary, or a statement is under way there, or what it has made of the session is still asked for: without the answer it would be lost. */
  get busyOnPrimary(): boolean {
    const isOpen = this.#state.status !== 'I' && !this.#state.onReplica;
    return isOpen || this.#isAskingPrimary || this.#flights.head?.from.role === 'primary';
  }

  /** It keeps a connection of its own for what it has made there. */
  get pinned(): boolean {
    return this.#state.pins.holds;
  }

  get activity(): Activity {
    if (this.#flights.size > 0 || this.#queue.size > 0 || this.#laneRead !== null) return 'active';
    return this.#state.status === 'I' ? 'idle' : 'in-transaction';
  }

  get unitsSent(): number {
    return this.#unitsSent;
  }

  get lastRoute(): string {
    const { last } = this.#state;
    return last === null ? '' : `${last.member}: ${last.because}`;
  }

  /** A cancel request: ends what runs, or the wait for a server. Resolves when the server has taken note. */
  async cancel(): Promise<void> {
    this.#context.stats.cancels += 1;
    const riding = this.#leaveLane();
    if (riding !== null) {
      // The server is not asked: it may be at another client's read by now.
      this.#own.tell(riding, canceled(), 'I');
      this.#pump();
      this.flushClient();
    } else if (this.#cancelWait !== null) this.#cancelWait();
    else await this.#flights.head?.from.cancel(this.#context.options.connectTimeoutMs);
  }

  /** Tells the client why, and ends the session. */
  fail(failure: ProxyFailure): void {
    if (this.#ended) return;
    this.#client.add(failure.frame());
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelWait?.();
    this.#leaveLane();
    this.#client.flush();
    this.#socket.end();
    // What the client still says is read and dropped, so that its end is noticed.
    this.#socket.resume();
    this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy());
    this.#servers.end(this.#state);
    this.#onEnd();
  }

  // ---- back-pressure

  flushClient(): void {
    if (!this.#client.flush()) this.#servers.each(connection => connection.socket.pause());
  }

  #onClientDrained(): void {
    this.#servers.each(connection => connection.socket.resume());
    this.#pump();
  }

  #flushServers(): void {
    this.#servers.each(connection => connection.out.flush());
  }

  onServerDrained(): void {
    this.#updateReading();
  }

  /** The client is read from only while there is room for what it says. */
  #updateReading(): void {
    let full = this.#queue.bytes > this.#context.options.maxQueuedBytes;
    this.#servers.each(connection => {
      full ||= connection.socket.writableNeedDrain;
    });
    if (full === this.#socket.isPaused()) return;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }
}

async function listenAgain(connection: ServerConnection, channels: ReadonlySet<string>): Promise<void> {
  try {
    for (const channel of channels) await connection.ask(`LISTEN "${channel.replaceAll('"', '""')}"`);
  } catch (error) {
    connection.destroy(error as Error);
    throw error;
  }
}

/** A connection that broke before the statement was sent costs the client nothing: another one, or the next primary, takes it. */
function unlessLost(connection: ServerConnection, error: Error): void {
  if (!connection.lost) throw error;
}

function reasonOf(unit: ClientUnit): string {
  const text = unit.texts.find(t => t.unit.demand === unit.demand) ?? unit.texts[0];
  return describeReason(text?.unit.reason ?? { code: 'empty', detail: '' });
}
