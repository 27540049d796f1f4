import type { MemberId, ReplicationSender } from '../../src/cluster/index.ts';
import { type NameSet, readNames, type SimPostgres } from './postgres.ts';
import { isPrefix } from './wal.ts';
import type { World } from './world.ts';

const KEEPALIVE_MS = 250;
const TIMEOUT_MS = 2000;

/** One walsender with its walreceiver. */
export class Connection {
  readonly #world: World;
  readonly primary: SimPostgres;
  readonly replica: SimPostgres;
  readonly applicationName: string;
  readonly #lives: readonly [number, number];
  /** The synchronous names that this walsender has read. */
  set: NameSet;
  /** As the primary knows it. */
  replicaFlushed = 0;
  repliedAtMs: number;
  /** Since when messages have come without a gap. */
  steadySinceMs: number;
  #flying = false;
  #senderOpen = true;
  #receiverOpen = true;

  constructor(world: World, primary: SimPostgres, replica: SimPostgres, applicationName: string) {
    this.#world = world;
    this.primary = primary;
    this.replica = replica;
    this.applicationName = applicationName;
    this.set = readNames(primary.namesText);
    this.#lives = [primary.life, replica.life];
    this.repliedAtMs = world.now;
    this.steadySinceMs = world.now;
    replica.lastMessageAtMs = world.now;
    this.#keepalive();
  }

  get #primaryAlive(): boolean {
    return this.#senderOpen && this.primary.life === this.#lives[0];
  }

  get #replicaAlive(): boolean {
    return this.#receiverOpen && this.replica.life === this.#lives[1];
  }

  /** One end goes. The other learns it at once if the network lets it, else by its timeout. */
  close(by: MemberId): void {
    const other = by === this.primary.id ? this.replica.id : this.primary.id;
    const told = this.#world.network.passes(by, other);
    if (by === this.primary.id || told) this.#dropSender();
    if (by === this.replica.id || told) this.#dropReceiver();
  }

  #dropSender(): void {
    this.#senderOpen = false;
    if (this.primary.connections.get(this.replica.id) === this) this.primary.connections.delete(this.replica.id);
  }

  /** A walreceiver flushes what it has written before it ends. */
  #dropReceiver(): void {
    if (this.#replicaAlive && (this.replica.disk === 'well' || this.replica.disk === 'slow'))
      this.replica.flushed = this.replica.wal.length;
    this.#receiverOpen = false;
    if (this.replica.receiver === this) this.replica.receiver = null;
  }

  #keepalive(): void {
    if (!this.#primaryAlive && !this.#replicaAlive) return;
    const { now } = this.#world;
    if (this.#primaryAlive && !this.primary.frozen && now - this.repliedAtMs > TIMEOUT_MS) this.#dropSender();
    if (this.#replicaAlive && !this.replica.frozen && now - this.replica.lastMessageAtMs > TIMEOUT_MS) this.#dropReceiver();
    this.wake();
    this.#world.events.after(KEEPALIVE_MS, () => this.#keepalive());
  }

  /** There may be something to send. */
  wake(): void {
    if (this.#flying || !this.#primaryAlive || this.primary.frozen) return;
    this.#flying = true;
    const upTo = this.primary.flushed;
    const { random, network } = this.#world;
    this.#world.events.after(random.between(0.3, 3) + network.slowMs, () => this.#deliver(upTo));
  }

  #deliver(upTo: number): void {
    if (!this.#replicaAlive || !this.#world.network.passes(this.primary.id, this.replica.id)) {
      this.#flying = false;
      return;
    }
    const { replica, primary } = this;
    if (replica.frozen || replica.disk === 'frozen' || replica.disk === 'full') {
      this.#world.events.after(100, () => this.#deliver(upTo));
      return;
    }
    if (this.#world.now - replica.lastMessageAtMs > 2 * KEEPALIVE_MS) this.steadySinceMs = this.#world.now;
    replica.lastMessageAtMs = this.#world.now;
    if (this.#primaryAlive && upTo > replica.wal.length) {
      this.#world.checks.streams(isPrefix(replica.wal, primary.wal), primary, replica);
      for (let i = replica.wal.length; i < upTo; i++) replica.wal.push(primary.wal[i]!);
      replica.timeline = primary.wal[upTo - 1]!.timeline;
      replica.history =
        replica.timeline === primary.timeline ? primary.history : primary.history.filter(end => end.timeline < replica.timeline);
    }
    const { random } = this.#world;
    const received = replica.wal.length;
    this.#world.events.after(replica.disk === 'slow' ? 150 : random.between(0.2, 2), () => this.#flushed(received));
  }

  #flushed(received: number): void {
    if (!this.#replicaAlive) {
      this.#flying = false;
      return;
    }
    const { replica } = this;
    if (replica.frozen || replica.disk === 'frozen') {
      this.#world.events.after(100, () => this.#flushed(received));
      return;
    }
    replica.flushed = Math.max(replica.flushed, received);
    for (const connection of replica.connections.values()) connection.wake();
    this.#world.checks.replies(replica, this.applicationName);
    const { random, network } = this.#world;
    this.#world.events.after(random.between(0.3, 3) + network.slowMs, () => this.#reply(received));
  }

  #reply(received: number): void {
    if (this.#primaryAlive && this.primary.frozen) {
      this.#world.events.after(100, () => this.#reply(received));
      return;
    }
    this.#flying = false;
    if (!this.#primaryAlive || !this.#world.network.passes(this.replica.id, this.primary.id)) return;
    this.repliedAtMs = this.#world.now;
    this.replicaFlushed = Math.max(this.replicaFlushed, received);
    this.primary.replied(this);
    if (this.primary.flushed > received) this.wake();
  }

  observe(): ReplicationSender {
    const lsn = this.primary.lsnAt(Math.min(this.replicaFlushed, this.primary.wal.length));
    return {
      applicationName: this.applicationName,
      state: 'streaming',
      sentLsn: lsn,
      writeLsn: lsn,
      flushLsn: this.replicaFlushed === 0 ? null : lsn,
      replayLsn: lsn,
      syncPriority: this.set.names.includes(this.applicationName) ? 1 : 0,
    };
  }
}

/** The walreceiver's endless attempts to connect. */
export function keepConnecting(world: World, replica: SimPostgres): void {
  world.events.after(world.random.between(60, 120), () => keepConnecting(world, replica));
  const { upstream, followsAs } = replica;
  if (!replica.alive || replica.role !== 'replica' || upstream === null || followsAs === null || replica.receiver !== null) return;
  const primary = world.servers.get(upstream);
  if (!primary?.alive || primary.shuttingDown || !world.network.bothWays(replica.id, upstream)) return;
  if (replica.systemId !== primary.systemId || !primary.wouldServe(replica)) return;
  primary.connections.get(replica.id)?.close(primary.id);
  const connection = new Connection(world, primary, replica, followsAs);
  primary.connections.set(replica.id, connection);
  replica.receiver = connection;
  world.poke(replica.id);
}
