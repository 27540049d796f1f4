import type { ClusterState, MemberId, MemberReport } from '../../src/cluster/index.ts';
import { drainingIntent } from '../../src/routing/index.ts';
import type { SimPostgres } from './postgres.ts';
import type { StoredReport } from './store.ts';
import type { World } from './world.ts';

/** A router that sends writes where the rule says, and clients that go past it to whatever primary they find. */
export class SimWriters {
  readonly #world: World;
  #revision = 0;
  #state: ClusterState | null = null;
  readonly #reports = new Map<MemberId, { report: MemberReport; put: number }>();
  stopped = false;
  lastAcknowledgedMs = 0;
  longestOutageMs = 0;

  constructor(world: World) {
    this.#world = world;
    this.#refresh();
    this.#write();
  }

  hearState(revision: number, state: ClusterState): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    this.#state = state;
  }

  hearReport(stored: StoredReport): void {
    if (stored.put > (this.#reports.get(stored.report.id)?.put ?? 0)) this.#reports.set(stored.report.id, stored);
  }

  #refresh(): void {
    const { store, events } = this.#world;
    store.request(
      'router',
      () => store.snapshot(),
      snapshot => {
        this.hearState(snapshot.revision, snapshot.state);
        for (const stored of snapshot.reports) this.hearReport(stored);
      },
    );
    events.after(300, () => this.#refresh());
  }

  #write(): void {
    const { random, events } = this.#world;
    if (this.stopped) return;
    if (random.chance(0.6)) this.#throughRouter();
    else this.#direct(random.pick([...this.#world.servers.values()]));
    events.after(random.between(10, 120), () => this.#write());
  }

  /** S9: only an established term whose primary is open gets a write, and only an answer in the same term is passed on. */
  #throughRouter(): void {
    const rule = this.#state?.rule;
    if (!rule?.established || (this.#state && drainingIntent(this.#state))) return;
    if (this.#reports.get(rule.primary)?.report.openTerm !== rule.term) return;
    const server = this.#world.servers.get(rule.primary)!;
    this.#commit(server, rule.acks > 0, () => this.#state?.rule?.term === rule.term);
  }

  #direct(server: SimPostgres): void {
    this.#commit(server, server.waitsFor.acks > 0, () => true);
  }

  #commit(server: SimPostgres, guarded: boolean, passOn: () => boolean): void {
    const world = this.#world;
    let told = false;
    const acknowledged = (): void => {
      if (told || !passOn()) return;
      told = true;
      world.checks.acknowledge(record, server, guarded);
      this.longestOutageMs = Math.max(this.longestOutageMs, world.now - this.lastAcknowledgedMs);
      this.lastAcknowledgedMs = world.now;
    };
    if (!server.leads || !server.commit(acknowledged)) return;
    const record = server.wal.at(-1)!;
    if (world.random.chance(0.05)) world.events.after(400, () => this.#cancel(server, record.index, acknowledged));
  }

  /** The client cancels its wait. PostgreSQL then says COMMIT, with a warning that the replicas do not have it. */
  #cancel(server: SimPostgres, index: number, acknowledged: () => void): void {
    const waits = server.waiting.find(commit => commit.record.index === index);
    if (waits === undefined || !server.alive) return;
    server.waiting = server.waiting.filter(commit => commit !== waits);
    if (this.#world.mutation.cancelledCountsAsAcknowledged) acknowledged();
  }
}
