import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import {
  type Choice,
  describeRoute,
  formatToken,
  newSessionCausality,
  noteToken,
  readToken,
  type RoutableServer,
  type SessionCausality,
} from '@understudy/core/routing';
import { describeReason, type RouterCommand, type SqlClassifier } from '@understudy/core/sql';
import {
  Backend,
  backend,
  type ErrorFields,
  FrameScanner,
  Frontend,
  ProtocolError,
  readErrorFields,
  type TransactionStatus,
} from '@understudy/wire';
import { ByteSink } from './byte-sink.ts';
import { ClientReader, type UnitReceiver } from './client-reader.ts';
import { type ClientMessage, type ClientUnit, endsTransaction, mayWrite, statusAfter } from './client-unit.ts';
import { Deque } from './deque.ts';
import {
  canceled,
  holdFull,
  inFailedTransaction,
  mixedRouterCommand,
  noPrimary,
  noServer,
  notReplicated,
  ProxyFailure,
  protocolViolation,
  rolledBack,
  sessionStateLost,
} from './errors.ts';
import type { Answer } from './expectations.ts';
import { answerLocally, type LocalResult, tagOnly } from './local-answer.ts';
import { judgeLoss } from './loss.ts';
import { Pins } from './pins.ts';
import { renameInError } from './prepared.ts';
import { applySetting, type LastRoute, levelOf, type RouterWishes, showVariable } from './router-state.ts';
import type { Identity } from './secrets.ts';
import { sendUnit } from './send-unit.ts';
import type { ServerConnection, ServerConnectionOwner } from './server-connection.ts';
import { LoginRefused } from './server-login.ts';
import type { SessionContext } from './session-context.ts';
import { applySettings, learnSettings, needsSettings, SessionServers } from './session-servers.ts';
import { SessionSettings } from './settings.ts';

const STREAMED: ReadonlySet<number> = new Set([Frontend.copyData]);
/** A read that lost this many servers is not tried again. */
const MAX_ATTEMPTS = 3;
/** Pause before a server that refused to be connected to is tried again, when no news comes before. */
const RECONNECT_MS = 100;
/** Errors of a replica that the primary would not have: it was told to write, or replay got in the way of the read. */
const TRY_ON_PRIMARY: ReadonlySet<string> = new Set(['25006', '40001', '40P01', '0A000', '57P01', '57P03', '58P01']);
/** What a server says while it starts, stops or is full of connections for the moment: another try may do. */
const TRANSIENT_LOGIN: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);

/** One unit that a server works on. */
interface Flight {
  readonly unit: ClientUnit;
  readonly from: ServerConnection;
  /** Transaction status before and after it, as far as it goes well. */
  readonly before: TransactionStatus;
  readonly after: TransactionStatus;
  /** Answers of a replica that are held back as long as the unit could still be run elsewhere. Null: released. */
  held: Buffer[] | null;
  /** What the client gets instead of the rest of the answer. */
  replaced: ProxyFailure | null;
  /** Nothing of the answer goes on: the unit will be run again. */
  again: boolean;
  /** Something of the answer has gone to the client. */
  answered: boolean;
  failed: boolean;
  /** The server has said that it ends the connection instead of answering: the statement is surely not done. */
  fatal: boolean;
  /** The client has more to send for this unit, but elsewhere: its end on this server is ours. */
  split: boolean;
  readonly sentAtMs: number;
}

type Dispatch = 'sent' | 'blocked';

export interface SessionInfo {
  readonly user: string;
  readonly database: string;
  readonly status: TransactionStatus;
  readonly active: boolean;
}

/**
 * One client from its first ReadyForQuery on. Its units of work run strictly in order; the next one is sent ahead only to the same server.
 * All state changes happen in callbacks of sockets and in the continuations of waits, which end in #pump.
 */
export class Session implements UnitReceiver, ServerConnectionOwner {
  readonly #context: SessionContext;
  readonly #socket: Socket;
  readonly #out: ByteSink;
  readonly #scanner: FrameScanner;
  readonly #reader: ClientReader;
  readonly #database: string;
  readonly #classifier: SqlClassifier;
  readonly #servers: SessionServers;
  readonly #identity: Identity;
  readonly #settings: SessionSettings = new SessionSettings();
  readonly #pins: Pins = new Pins();
  readonly #onEnd: () => void;
  /** What the client was told of the server's settings. */
  readonly #reported: Map<string, string>;
  readonly #queue = new Deque<ClientUnit>();
  readonly #flights = new Deque<Flight>();
  #queuedBytes = 0;
  /** The head of the queue waits for something; its continuation pumps. */
  #blocked = false;
  #pumping = false;
  /** Connections lost so far: tells the loop of #pump that one was lost under its hands. */
  #losses = 0;
  /** Ends the wait of the head, for a cancel. */
  #cancelWait: (() => void) | null = null;
  #status: TransactionStatus = 'I';
  /** The open transaction may have written. */
  #wrote = false;
  /** The transaction that the client believes to be open was lost with its primary; null when there is none. */
  #lostTransaction: 'untold' | 'told' | null = null;
  #lostState = '';
  #retrying: ClientUnit[] = [];
  #wishes: RouterWishes;
  readonly #defaults: RouterWishes;
  #last: LastRoute | null = null;
  readonly #causality: SessionCausality = newSessionCausality();
  #ended = false;

  constructor(request: {
    readonly context: SessionContext;
    readonly socket: Socket;
    readonly identity: Identity;
    readonly database: string;
    readonly parameters: ReadonlyMap<string, string>;
    readonly wishes: RouterWishes;
    readonly onEnd: () => void;
  }) {
    this.#context = request.context;
    this.#socket = request.socket;
    this.#identity = request.identity;
    this.#wishes = request.wishes;
    this.#defaults = request.wishes;
    this.#onEnd = request.onEnd;
    this.#reported = new Map();
    this.#out = new ByteSink(request.socket);
    this.#database = request.database;
    this.#classifier = request.context.databases.classifierOf(request.database);
    this.#servers = new SessionServers(request.context, this, request.identity, request.parameters);
    this.#reader = new ClientReader(this, this.#classifier, request.context.options.maxRetryBytes);
    this.#scanner = new FrameScanner(this.#reader, { streamed: STREAMED, maxAssembledBytes: request.context.options.maxMessageBytes });
  }

  /** Connects to a server, tells the client its settings and the key for cancels, and begins to serve. Throws ProxyFailure or LoginRefused. */
  async begin(key: Buffer, early: Buffer): Promise<void> {
    this.#socket.on('close', () => this.end());
    this.#socket.on('error', () => this.end());
    const first = await this.#firstServer();
    for (const [name, value] of first.parameters) {
      const told = name === 'in_hot_standby' ? 'off' : value;
      this.#reported.set(name, told);
      this.#out.add(backend.parameterStatus(name, told));
    }
    this.#out.add(key);
    this.#out.add(backend.READY.I);
    this.#out.flush();
    this.#socket.on('data', chunk => this.#onData(chunk as Buffer));
    this.#socket.on('drain', () => this.#resumeServers());
    if (early.length > 0) this.#onData(early);
    this.#socket.resume();
  }

  /** The primary if there is one, else a replica: reads go on without a primary, and so do logins. */
  async #firstServer(): Promise<ServerConnection> {
    const deadline = performance.now() + this.#context.options.holdTimeoutMs;
    for (;;) {
      const { topology } = this.#context.watch;
      const failures: Error[] = [];
      if (topology.primary.kind === 'open') {
        const server = topology.primary.server;
        const opened = await this.#servers.open(server, 'primary', topology.term).catch((error: Error) => void failures.push(error));
        if (opened) return opened;
      }
      this.#throwIfFinal(failures);
      for (const server of topology.replicas) {
        const opened = await this.#servers.open(server, 'replica', topology.term).catch((error: Error) => void failures.push(error));
        if (opened) return opened;
      }
      this.#throwIfFinal(failures);
      const left = deadline - performance.now();
      if (left <= 0 || this.#ended) throw noServer(failures[0]?.message ?? this.#context.watch.reason);
      if (!this.#context.watch.hasRoom) throw holdFull();
      await this.#context.watch.nextTopology(Math.min(left, RECONNECT_MS)).over;
    }
  }

  #throwIfFinal(failures: readonly Error[]): void {
    const refused = failures.find(f => f instanceof LoginRefused && !TRANSIENT_LOGIN.has(f.fields.code));
    if (refused) throw refused;
  }

  get info(): SessionInfo {
    return {
      user: this.#identity.user,
      database: this.#database,
      status: this.#status,
      active: this.#flights.size > 0 || this.#queue.size > 0,
    };
  }

  // ---- the client's bytes

  #onData(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(protocolViolation(error.message));
      return;
    }
    this.#flushServers();
    this.#flushClient();
    this.#updateReading();
  }

  nextStatementId(): number {
    return this.#context.nextStatementId();
  }

  nowMs(): number {
    return performance.now();
  }

  onStatementClosed(statement: Parameters<UnitReceiver['onStatementClosed']>[0]): void {
    this.#servers.closeStatement(statement);
  }

  onTerminate(): void {
    this.end();
  }

  onUnit(unit: ClientUnit): void {
    if (this.#queue.last() !== unit) this.#queue.push(unit);
    this.#countWaiting(unit, unit.bytes);
    this.#pump();
  }

  /** Notes how many bytes of a unit wait in the proxy: what a server has is not counted. */
  #countWaiting(unit: ClientUnit, bytes: number): void {
    this.#queuedBytes += bytes - unit.waitingBytes;
    unit.waitingBytes = bytes;
  }

  onCopy(message: ClientMessage): void {
    const waiting = this.#queue.last();
    const flight = this.#flights.last();
    if (waiting !== undefined && waiting.sent === 0) {
      // Sent ahead of the answer that invites it: it goes right behind its statement.
      waiting.messages.push(message);
      waiting.bytes += message.end - message.start;
      this.#countWaiting(waiting, waiting.bytes);
    } else if (flight !== undefined && !flight.from.lost) {
      if (message.type !== Frontend.copyData) flight.from.expectations.copyEnded();
      flight.from.out.range(message.chunk, message.start, message.end);
      if (message.type !== Frontend.copyData) this.#flushServers();
    }
    // Otherwise nothing runs: like PostgreSQL, ignore what is left of a copy that has failed.
  }

  takesLoneSync(message: ClientMessage): boolean {
    const flight = this.#flights.last();
    if (flight === undefined || this.#queue.size > 0 || flight.from.lost) return false;
    const { expectations } = flight.from;
    if (!expectations.copyingIn && expectations.size > 0) return false;
    flight.from.out.range(message.chunk, message.start, message.end);
    flight.from.expect({ kind: 'sync', hidden: false, settle: null, rows: null });
    this.#flushServers();
    return true;
  }

  // ---- from the queue to a server

  /** Sends what can be sent. Everything that may unblock the head of the queue ends here. */
  #pump(): void {
    // A connection that breaks while a unit is sent on it calls back in here: the loop that runs goes on with what is left.
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#blocked && !this.#ended) {
      const unit = this.#queue.peek();
      if (unit === undefined) break;
      const losses = this.#losses;
      if (this.#dispatch(unit) === 'blocked') {
        if (losses === this.#losses) break;
        continue;
      }
      if (!unit.complete) break;
      if (this.#queue.peek() !== unit) continue;
      this.#queue.shift();
      this.#countWaiting(unit, 0);
    }
    this.#pumping = false;
    this.#updateReading();
  }

  #predicted(): TransactionStatus {
    return this.#flights.last()?.after ?? this.#status;
  }

  #dispatch(unit: ClientUnit): Dispatch {
    if (unit.skipped) return this.#skip(unit);
    if (unit.sent > 0) return this.#continueOpen(unit);
    if (unit.demand === 'router' || unit.texts.some(t => t.unit.demand === 'router')) return this.#whenIdle(() => this.#answerRouter(unit));
    if (this.#lostTransaction !== null || this.#lostState !== '') return this.#whenIdle(() => this.#answerLost(unit));
    if (unit.texts.some(t => t.unit.unknownFunctions.length > 0)) this.#context.databases.functionsWanted(this.#database);
    const because = this.#whyPrimary(unit);
    return because === null ? this.#dispatchRead(unit) : this.#dispatchPrimary(unit, because);
  }

  #whenIdle(act: () => Dispatch): Dispatch {
    return this.#flights.size > 0 ? 'blocked' : act();
  }

  /** Null: a replica may take it. */
  #whyPrimary(unit: ClientUnit): string | null {
    if (unit.primaryBecause !== null) return unit.primaryBecause;
    if (this.#predicted() !== 'I') return 'in a transaction';
    if (unit.demand !== 'replica') return describeReason(this.#reasonOf(unit));
    if (this.#wishes.route === 'primary') return 'understudy.route = primary';
    if (this.#pins.holdReads) return 'the session has state on the primary that reads can see';
    if (this.#settings.values.get('default_transaction_isolation') === 'serializable')
      return 'replicas cannot be read at isolation level serializable';
    return null;
  }

  #reasonOf(unit: ClientUnit): { code: 'empty'; detail: string } | ClientUnit['texts'][number]['unit']['reason'] {
    const text = unit.texts.find(t => t.unit.demand === unit.demand) ?? unit.texts[0];
    return text?.unit.reason ?? { code: 'empty', detail: '' };
  }

  #dispatchPrimary(unit: ClientUnit, because: string): Dispatch {
    const last = this.#flights.last();
    if (last !== undefined && last.from.role !== 'primary') return 'blocked';
    const { topology } = this.#context.watch;
    const inTransaction = this.#predicted() !== 'I';
    const connection = this.#servers.primary;
    const usable = connection !== null && !connection.lost && connection.term === topology.term;
    const { primary } = topology;
    if (usable && (primary.kind === 'open' || (primary.kind === 'draining' && inTransaction))) {
      if (needsSettings(connection, this.#settings) && last === undefined && !this.#settings.hasTouched)
        return this.#block(applySettings(connection, this.#settings));
      return this.#send(unit, connection, because);
    }
    if (last !== undefined) return 'blocked';
    if (primary.kind === 'open' && connection === null) return this.#block(this.#openPrimary(unit, primary.server, topology.term));
    return this.#hold(unit);
  }

  async #openPrimary(unit: ClientUnit, server: RoutableServer, term: number): Promise<void> {
    try {
      const connection = await this.#servers.open(server, 'primary', term);
      for (const channel of this.#pins.channels) await connection.ask(`LISTEN "${channel.replaceAll('"', '""')}"`);
      await applySettings(connection, this.#settings);
      this.#tellParameters(connection);
    } catch (error) {
      if (error instanceof LoginRefused && !TRANSIENT_LOGIN.has(error.fields.code)) {
        this.#failHead(unit, new ProxyFailure({ ...error.fields, severity: 'ERROR' }));
      } else await this.#holdFor(unit, RECONNECT_MS);
    }
  }

  /** A new primary's settings may differ from what the client was told. */
  #tellParameters(connection: ServerConnection): void {
    for (const [name, value] of connection.parameters) {
      if (name === 'in_hot_standby' || this.#settings.values.has(name.toLowerCase()) || this.#reported.get(name) === value) continue;
      this.#reported.set(name, value);
      this.#out.add(backend.parameterStatus(name, value));
    }
  }

  #hold(unit: ClientUnit): Dispatch {
    return this.#block(this.#holdFor(unit, Number.POSITIVE_INFINITY));
  }

  async #holdFor(unit: ClientUnit, atMostMs: number): Promise<void> {
    const { watch, options } = this.#context;
    const left = unit.arrivedAtMs + options.holdTimeoutMs - performance.now();
    if (left <= 0) return this.#failHead(unit, noPrimary(watch.reason));
    if (!watch.hasRoom) return this.#failHead(unit, holdFull());
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
    void work
      .catch((error: unknown) => {
        const head = this.#queue.peek();
        if (head !== undefined) this.#failHead(head, noServer((error as Error).message));
      })
      .finally(() => {
        this.#blocked = false;
        this.#pump();
        this.#flushClient();
      });
    return 'blocked';
  }

  // ---- reads

  #dispatchRead(unit: ClientUnit): Dispatch {
    const last = this.#flights.last();
    const { freshness } = this.#context;
    unit.need ??= freshness.needNow();
    const level = levelOf(unit.texts[0]?.unit.hints.consistency ?? this.#wishes.consistency, this.#wishes.maxLagMs);
    if (last !== undefined) {
      // Reads are sent ahead only to the replica that already works for this session.
      const { from } = last;
      if (from.role !== 'replica' || last.split || needsSettings(from, this.#settings)) return 'blocked';
      return freshness.mayFollow(from.member, level, unit.need, this.#causality)
        ? this.#send(unit, from, describeRoute('fresh-replica'))
        : 'blocked';
    }
    const now = performance.now();
    if (unit.beganAtMs === 0) unit.beganAtMs = now;
    const choice = freshness.choose({ wish: this.#wishes.route, level, waitedMs: now - unit.beganAtMs }, unit.need, this.#causality);
    return this.#follow(unit, choice);
  }

  #follow(unit: ClientUnit, choice: Choice): Dispatch {
    switch (choice.kind) {
      case 'primary':
        return this.#dispatchPrimary(unit, describeRoute(choice.reason));
      case 'replica':
        return this.#sendToReplica(unit, choice.replica.server, describeRoute(choice.reason));
      case 'wait-probe':
      case 'wait-replay':
        return this.#block(this.#context.freshness.news(choice.timeoutMs));
      case 'hold':
        return this.#hold(unit);
      case 'error':
        return this.#answerFailure(unit, noServer(describeRoute(choice.reason)));
    }
  }

  #sendToReplica(unit: ClientUnit, server: RoutableServer, because: string): Dispatch {
    const connection = this.#servers.replica(server.id);
    if (connection === null) return this.#block(this.#openReplica(unit, server));
    if (needsSettings(connection, this.#settings)) return this.#block(this.#patchReplica(unit, connection));
    return this.#send(unit, connection, because);
  }

  async #openReplica(unit: ClientUnit, server: RoutableServer): Promise<void> {
    try {
      await this.#servers.open(server, 'replica', this.#context.watch.topology.term);
    } catch (error) {
      this.#context.freshness.failed(server.id, 'not-started');
      unit.attempts += 1;
      if (unit.attempts >= MAX_ATTEMPTS || error instanceof LoginRefused)
        unit.primaryBecause = `${server.id} could not be connected to: ${(error as Error).message}`;
    }
  }

  async #patchReplica(unit: ClientUnit, connection: ServerConnection): Promise<void> {
    try {
      await applySettings(connection, this.#settings);
    } catch (error) {
      // It cannot be made like the session: reads stay on the primary.
      unit.primaryBecause = `${connection.member} does not take the session's settings: ${(error as Error).message}`;
      if (!connection.lost) this.#pins.add('settings of unknown name');
    }
  }

  // ---- sending

  #send(unit: ClientUnit, to: ServerConnection, because: string): Dispatch {
    if (unit.sent === 0) {
      const before = this.#predicted();
      const keep = to.role === 'replica' && unit.complete && unit.bytes <= this.#context.options.maxRetryBytes;
      this.#flights.push({
        unit,
        from: to,
        before,
        after: statusAfter(unit, before),
        held: keep ? [] : null,
        replaced: null,
        again: false,
        answered: false,
        failed: false,
        fatal: false,
        split: false,
        sentAtMs: performance.now(),
      });
      if (to.role === 'replica') this.#context.freshness.started(to.member);
      this.#last = { member: to.member, because };
      unit.attempts += 1;
    }
    sendUnit(unit, to);
    this.#countWaiting(unit, 0);
    to.out.flush();
    return 'sent';
  }

  /** More of a unit whose beginning is already on a server. */
  #continueOpen(unit: ClientUnit): Dispatch {
    const flight = this.#flights.last();
    if (flight === undefined || flight.unit !== unit) return 'blocked';
    if (flight.from.role === 'primary' || unit.demand === 'replica' || flight.failed) return this.#send(unit, flight.from, '');
    return this.#split(unit, flight);
  }

  /** A unit began with reads on a replica and goes on with something for the primary: nothing ties the two together but the answers' order. */
  #split(unit: ClientUnit, flight: Flight): Dispatch {
    flight.split = true;
    const sent = unit.messages.splice(0, unit.sent);
    for (const message of sent) unit.bytes -= message.end - message.start;
    unit.sent = 0;
    unit.primaryBecause = describeReason(this.#reasonOf(unit));
    const settle = (): void => {
      this.#flights.shift();
      unit.skipped = flight.failed;
      this.#pump();
      this.#flushClient();
    };
    flight.from.expect({ kind: 'sync', hidden: true, settle, rows: null });
    flight.from.out.add(SYNC_BYTES);
    flight.from.out.flush();
    return 'blocked';
  }

  /** What remains of a unit that has failed: everything up to its Sync is passed over. */
  #skip(unit: ClientUnit): Dispatch {
    if (this.#flights.size > 0) return 'blocked';
    if (unit.complete) this.#out.add(backend.READY[this.#status]);
    unit.sent = unit.messages.length;
    return 'sent';
  }

  // ---- answers that no server gives

  #answerRouter(unit: ClientUnit): Dispatch {
    if (!unit.complete) {
      // Parse and Describe with Flush: the answer needs no Sync.
      return this.#answerOpenRouter(unit);
    }
    const results: LocalResult[] = [];
    for (const statement of unit.statements.length > 0 ? unit.statements : unit.texts.flatMap(t => t.unit.statements)) {
      if (statement.kind !== 'router') return this.#answerFailure(unit, mixedRouterCommand());
      const result = this.#runRouterCommand(statement.command);
      if (result === null) return 'blocked';
      if (result instanceof ProxyFailure) return this.#answerFailure(unit, result);
      results.push(result);
    }
    for (const part of answerLocally(unit, results, this.#status)) this.#out.add(part);
    unit.sent = unit.messages.length;
    return 'sent';
  }

  #answerOpenRouter(unit: ClientUnit): Dispatch {
    return this.#answerFailure(unit, mixedRouterCommand());
  }

  #answerFailure(unit: ClientUnit, failure: ProxyFailure): Dispatch {
    this.#tellFailure(unit, failure, this.#status === 'I' ? 'I' : 'E');
    return 'sent';
  }

  #runRouterCommand(command: RouterCommand): LocalResult | ProxyFailure | null {
    switch (command.kind) {
      case 'set': {
        const { setting } = command;
        if (setting.name === 'token') return this.#takeToken(setting.value ?? '');
        this.#wishes = applySetting(this.#wishes, setting, this.#defaults);
        return tagOnly('SET');
      }
      case 'show': {
        const token = command.variable === 'token' ? this.#token() : '';
        return token === null ? null : showVariable(command.variable, this.#wishes, token, this.#last);
      }
      case 'show-table':
        return this.#context.stats.table(command.table);
      case 'invalid':
        return new ProxyFailure({ severity: 'ERROR', code: command.sqlState, message: command.message });
    }
  }

  #takeToken(text: string): LocalResult | ProxyFailure {
    if (text === '') return tagOnly('SET');
    const { watch, freshness } = this.#context;
    const reading = readToken(text, freshness.systemIdentifier ?? '');
    if (!reading.ok)
      return new ProxyFailure({ severity: 'ERROR', code: '22023', message: `invalid value for understudy.token: ${reading.message}` });
    noteToken(this.#causality, reading.floor, watch.topology);
    return tagOnly('SET');
  }

  /** The session's floor as text; null while it is being asked for (the head then waits). */
  #token(): string | null {
    const { freshness, options } = this.#context;
    const floor = freshness.sessionFloor(this.#causality);
    const { systemIdentifier } = freshness;
    if (floor !== null && systemIdentifier !== null) return formatToken({ systemIdentifier, floor });
    this.#block(freshness.news(options.freshWaitMs));
    return null;
  }

  /** The client's transaction, or state of its session, was lost with the primary. PostgreSQL's rules for a failed transaction apply. */
  #answerLost(unit: ClientUnit): Dispatch {
    if (this.#lostTransaction === null) {
      const what = this.#lostState;
      this.#lostState = '';
      this.#tellFailure(unit, sessionStateLost(what), 'I');
      return 'sent';
    }
    const end = endsTransaction(unit);
    if (end === 'rollback' || (end === 'commit' && this.#lostTransaction === 'told')) {
      this.#lostTransaction = null;
      this.#status = 'I';
      this.#wrote = false;
      for (const part of answerLocally(unit, [tagOnly('ROLLBACK')], 'I')) this.#out.add(part);
      unit.sent = unit.messages.length;
      return 'sent';
    }
    const told = this.#lostTransaction === 'told';
    this.#lostTransaction = end === 'commit' ? null : 'told';
    if (end === 'commit') this.#wrote = false;
    this.#tellFailure(unit, told ? inFailedTransaction() : rolledBack(), end === 'commit' ? 'I' : 'E');
    return 'sent';
  }

  /** The unit fails with this error; what remains of it is skipped. */
  #tellFailure(unit: ClientUnit, failure: ProxyFailure, status: TransactionStatus): void {
    this.#status = status;
    this.#out.add(failure.frame());
    if (unit.complete) this.#out.add(backend.READY[status]);
    else unit.skipped = true;
    unit.sent = unit.messages.length;
  }

  /** The head of the queue fails while it waits. */
  #failHead(unit: ClientUnit, failure: ProxyFailure): void {
    if (this.#queue.peek() !== unit) return;
    this.#tellFailure(unit, failure, this.#status === 'I' ? 'I' : 'E');
    this.#countWaiting(unit, 0);
    if (unit.complete) this.#queue.shift();
    this.#flushClient();
  }

  // ---- answers of servers

  onAnswer(from: ServerConnection, answer: Answer, type: number, chunk: Buffer, start: number, end: number): void {
    const flight = this.#flights.peek();
    if (flight === undefined || flight.from !== from) {
      from.destroy(new ProtocolError('an answer that no statement waits for'));
      return;
    }
    switch (answer) {
      case 'within':
      case 'completes':
        if (type === Backend.commandComplete) this.#onCommandComplete(flight);
        this.#forward(flight, type, chunk, start, end);
        return;
      case 'fails':
        this.#onError(flight, chunk, start, end);
        return;
      case 'ready':
        this.#onReady(flight, chunk, start, end);
        return;
    }
  }

  #forward(flight: Flight, type: number, chunk: Buffer, start: number, end: number): void {
    if (flight.again || flight.replaced !== null) return;
    if (flight.held !== null) {
      if (isPreliminary(type)) {
        flight.held.push(chunk.subarray(start, end));
        return;
      }
      this.#release(flight);
    }
    flight.answered = true;
    this.#out.range(chunk, start, end);
  }

  /** From here on the client sees the answer, so the unit cannot be run elsewhere. */
  #release(flight: Flight): void {
    if (flight.held === null) return;
    for (const part of flight.held) this.#out.add(part);
    flight.answered ||= flight.held.length > 0;
    flight.held = null;
  }

  /** Before the client can see that a simple Query has committed, later reads must know of it. */
  #onCommandComplete(flight: Flight): void {
    if (flight.unit.kind === 'query' && this.#commits(flight)) this.#noteCommit();
  }

  #commits(flight: Flight): boolean {
    if (flight.from.role !== 'primary' || flight.after !== 'I') return false;
    return mayWrite(flight.unit) || (flight.before !== 'I' && this.#wrote);
  }

  #noteCommit(): void {
    this.#context.freshness.noteCommit(this.#causality);
  }

  #onError(flight: Flight, chunk: Buffer, start: number, end: number): void {
    flight.failed = true;
    if (flight.again || flight.replaced !== null) return;
    const fields = readErrorFields(chunk, start, end);
    if (flight.from.role === 'replica' && flight.held !== null && flight.unit.attempts < MAX_ATTEMPTS && TRY_ON_PRIMARY.has(fields.code)) {
      this.#runAgain(flight, fields);
      return;
    }
    if (fields.severity === 'FATAL' || fields.severity === 'PANIC') {
      // The connection ends now; what that means for the client is decided when it has.
      flight.fatal = true;
      if (fields.code.startsWith('57P0') && fields.code !== '57P05') return;
      this.#release(flight);
      this.#out.range(chunk, start, end);
      this.end();
      return;
    }
    this.#release(flight);
    flight.answered = true;
    const renamed = renameInError(fields, flight.unit.messages);
    if (renamed === null) this.#out.range(chunk, start, end);
    else this.#out.add(renamed);
  }

  /** Runs the unit, and those sent after it, once more when the replica has answered them all; this one on the primary. */
  #runAgain(flight: Flight, cause: ErrorFields): void {
    this.#context.stats.countRetry(cause.code);
    flight.unit.primaryBecause = `${flight.from.member} refused it: ${cause.message}`;
    if (cause.code === '25006') {
      for (const text of flight.unit.texts) this.#classifier.learnRefusedReadOnly(text);
      flight.unit.demand = 'primary';
    }
    if (cause.code === '0A000' && /hot standby/.test(cause.message)) this.#pins.add('settings of unknown name');
    for (const other of this.#flights) {
      other.again = true;
      other.held = null;
    }
  }

  #onReady(flight: Flight, chunk: Buffer, start: number, end: number): void {
    const { unit, from } = flight;
    if (flight.again) {
      this.#flights.shift();
      this.#context.freshness.abandoned(from.member);
      this.#retrying.push(unit);
      if (this.#flights.size === 0) this.#requeue();
      return;
    }
    this.#release(flight);
    this.#flights.shift();
    if (from.role === 'primary') this.#afterPrimary(flight, from.status);
    else if (from.status === 'I') this.#afterRead(flight);
    if (flight.replaced !== null) this.#out.add(flight.replaced.frame());
    this.#out.range(chunk, start, end);
    if (from.role === 'primary' && from.status === 'I' && this.#settings.hasTouched) this.#learnSettings(from);
    // A transaction that the grammar did not show must not stay open behind the session's back.
    if (from.role === 'replica' && from.status !== 'I') from.destroy(new Error('a read opened a transaction on a replica'));
    this.#pump();
  }

  #afterRead(flight: Flight): void {
    const { from } = flight;
    this.#context.stats.countRead(from.member);
    this.#context.freshness.finished(from.member, performance.now() - flight.sentAtMs);
    this.#context.freshness.noteReplicaRead(from.member, this.#causality);
  }

  #afterPrimary(flight: Flight, status: TransactionStatus): void {
    const { unit } = flight;
    this.#status = status;
    if (mayWrite(unit)) {
      this.#wrote = true;
      this.#context.stats.writes += 1;
    } else if (unit.demand === 'replica' && flight.before === 'I') {
      this.#context.stats.countRead(flight.from.member);
      this.#context.freshness.notePrimaryRead(this.#causality);
    }
    if (status === 'I') {
      if (this.#wrote) this.#noteCommit();
      this.#wrote = false;
      this.#reader.forgetPortals();
    }
    if (unit.statements.some(s => s.reason.code === 'ddl')) this.#context.databases.definitionChanged(this.#database);
    for (const effect of unit.effects) {
      if (!this.#settings.note(effect)) this.#pins.add('settings of unknown name');
      this.#pins.note(effect);
    }
  }

  /** Nothing is sent anywhere before it is known what the settings are now. */
  #learnSettings(from: ServerConnection): void {
    this.#block(learnSettings(from, this.#settings).catch(() => this.#pins.add('settings of unknown name')));
  }

  #requeue(): void {
    const units = this.#retrying;
    this.#retrying = [];
    for (const unit of units) {
      unit.sent = 0;
      this.#countWaiting(unit, unit.bytes);
    }
    this.#queue.unshiftAll(units);
    this.#pump();
  }

  onAside(from: ServerConnection, type: number, chunk: Buffer, start: number, end: number): void {
    const flight = this.#flights.peek();
    if (type === Backend.noticeResponse && flight?.from === from && chunk.subarray(start, end).includes('SyncRepWaitForLSN')) {
      // The field that names the server's routine is the same in every language.
      flight.replaced = notReplicated();
      return;
    }
    if (type === Backend.errorResponse || from.role === 'replica') {
      if (type === Backend.noticeResponse && flight !== undefined && !flight.again) this.#forwardNotice(flight, chunk, start, end);
      return;
    }
    if (type === Backend.parameterStatus) {
      const { name, value } = backend.readParameterStatus(chunk, start, end);
      if (name === 'in_hot_standby' || this.#reported.get(name) === value) return;
      this.#reported.set(name, value);
    }
    this.#out.range(chunk, start, end);
  }

  #forwardNotice(flight: Flight, chunk: Buffer, start: number, end: number): void {
    if (flight.held !== null) flight.held.push(chunk.subarray(start, end));
    else this.#out.range(chunk, start, end);
  }

  onChunkEnd(from: ServerConnection): void {
    const flight = this.#flights.peek();
    // A client that asked for answers before its Sync waits for them.
    if (flight !== undefined && !flight.unit.complete) this.#release(flight);
    if (!this.#out.flush()) from.socket.pause();
  }

  onDrain(_from: ServerConnection): void {
    this.#updateReading();
  }

  onLost(from: ServerConnection, why: Error): void {
    this.#servers.forget(from);
    this.#losses += 1;
    if (this.#ended) return;
    const flights = this.#flights.clear();
    const mine = flights.filter(f => f.from === from);
    if (mine.length < flights.length) for (const other of flights) if (other.from !== from) this.#flights.push(other);
    if (from.role === 'primary') {
      this.#lostState = this.#pins.takeLost();
      if (mine.length === 0 && this.#status !== 'I') this.#lostTransaction = 'untold';
    }
    if (mine.length > 0) this.#judge(mine, why);
    this.#pump();
    this.#flushClient();
  }

  #judge(lost: readonly Flight[], why: Error): void {
    const again = this.#retrying;
    this.#retrying = [];
    const verdicts = judgeLoss(lost, lost[0]?.before ?? 'I', this.#wrote);
    lost.forEach((flight, i) => {
      const verdict = verdicts[i];
      const { unit } = flight;
      if (flight.from.role === 'replica') this.#context.freshness.failed(flight.from.member, 'started');
      if (verdict === undefined) return;
      const tired = unit.attempts >= MAX_ATTEMPTS;
      if (verdict.kind === 'again' || flight.again) {
        if (tired) return this.#tellFailure(unit, noServer(why.message), 'I');
        again.push(unit);
        return;
      }
      this.#tellFailure(unit, flight.replaced ?? verdict.failure, verdict.status);
    });
    this.#lostTransaction = this.#status === 'I' ? null : 'told';
    if (this.#status === 'I') this.#wrote = false;
    if (again.length > 0) {
      this.#context.stats.countRetry('lost');
      this.#retrying = again;
      this.#requeue();
    }
  }

  // ---- the cluster changes

  /** Connections of an older term carry nothing more, nor do those to a member that is no replica any more. */
  onTopology(): void {
    const { topology } = this.#context.watch;
    this.#servers.abandonOpening(topology);
    for (const connection of this.#servers.all()) {
      if (connection.role === 'primary') {
        if (connection.term < topology.term) connection.destroy(new Error(`term ${topology.term} has begun`));
      } else if (!topology.replicas.some(r => r.id === connection.member))
        connection.destroy(new Error(`${connection.member} is no replica any more`));
    }
  }

  /** A transaction is open on the primary, or a statement is under way there. */
  get busyOnPrimary(): boolean {
    return this.#status !== 'I' || this.#flights.peek()?.from.role === 'primary';
  }

  /** A cancel request for this session. */
  async cancel(): Promise<void> {
    this.#context.stats.cancels += 1;
    if (this.#cancelWait !== null) {
      this.#cancelWait();
      return;
    }
    const flight = this.#flights.peek();
    if (flight !== undefined) await flight.from.cancel(this.#context.options.connectTimeoutMs);
  }

  /** Tells the client why, and ends the session. */
  fail(failure: ProxyFailure): void {
    this.#out.add(failure.frame());
    this.#flushClient();
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelWait?.();
    this.#out.flush();
    this.#socket.end();
    // What the client still says is read and dropped, so that its end is noticed.
    this.#socket.resume();
    this.#socket.setTimeout(5_000, () => this.#socket.destroy());
    this.#servers.end();
    this.#onEnd();
  }

  // ---- back-pressure

  #flushClient(): void {
    if (!this.#out.flush()) for (const connection of this.#servers.all()) connection.socket.pause();
  }

  #resumeServers(): void {
    for (const connection of this.#servers.all()) connection.socket.resume();
  }

  #flushServers(): void {
    for (const connection of this.#servers.all()) connection.out.flush();
  }

  /** The client is read from only while there is room for what it says. */
  #updateReading(): void {
    let full = this.#queuedBytes > this.#context.options.maxQueuedBytes;
    for (const connection of this.#servers.all()) full ||= connection.socket.writableNeedDrain;
    if (full === this.#socket.isPaused()) return;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }
}

const SYNC_BYTES: Buffer = Buffer.from([0x53, 0, 0, 0, 4]);

/** Messages that say nothing yet about the data: as long as only these have come, the unit can be run elsewhere. */
function isPreliminary(type: number): boolean {
  switch (type) {
    case Backend.parseComplete:
    case Backend.bindComplete:
    case Backend.closeComplete:
    case Backend.parameterDescription:
    case Backend.rowDescription:
    case Backend.noData:
      return true;
    default:
      return false;
  }
}
