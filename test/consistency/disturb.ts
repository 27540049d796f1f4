import pg from 'pg';
import type { MemberStatus, StatusDocument } from '../../packages/server/src/api/types.ts';
import { type Cluster, primaryOf } from '../support/cluster.ts';
import { until } from '../support/wait.ts';

export const DISTURBANCES = ['pause-replay', 'stop-replica', 'conflict', 'kill-primary', 'switchover'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

/** The delay of the one replica that always replays late. */
const DELAY = '2s';
const PAUSED_MS = 4000;
/** Shorter than what is taken for a hang, so that the replica stays and is only late. */
const STOPPED_MS = 800;

/** What is done to a cluster while clients read and write: one thing after the other, from a seed. */
export class Disturber {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** One replica replays late, whoever is a replica now; the others and the primary do not. Resolves with its name. */
  async delayOne(status: StatusDocument): Promise<string> {
    const late = replicasOf(status).at(-1)!;
    for (const member of status.members) {
      const wanted = member.id === late.id ? DELAY : '0';
      if ((await this.#on(member, 'show recovery_min_apply_delay')) === wanted) continue;
      await this.#on(
        member,
        wanted === '0' ? 'alter system reset recovery_min_apply_delay' : `alter system set recovery_min_apply_delay = '${wanted}'`,
      );
      await this.#on(member, 'select pg_reload_conf()');
      await until(`a delay of ${wanted}`, async () => ((await this.#on(member, 'show recovery_min_apply_delay')) === wanted ? true : null));
    }
    return late.id;
  }

  async inflict(disturbance: Disturbance, status: StatusDocument): Promise<void> {
    const replica = replicasOf(status)[0]!;
    switch (disturbance) {
      case 'pause-replay':
        await this.#on(replica, 'select pg_wal_replay_pause()');
        await pause(PAUSED_MS);
        await this.#on(replica, 'select pg_wal_replay_resume()');
        return;
      case 'stop-replica':
        process.kill(replica.postmasterPid!, 'SIGSTOP');
        await pause(STOPPED_MS);
        process.kill(replica.postmasterPid!, 'SIGCONT');
        return;
      case 'conflict':
        return this.#conflict();
      case 'kill-primary':
        process.kill(primaryOf(status).postmasterPid!, 'SIGKILL');
        await this.#cluster.whenStatus('another term', s => s.term > status.term, 120_000);
        return;
      case 'switchover': {
        const outcome = await this.#cluster.command('switchover');
        if (outcome.code !== 0) throw new Error(`switchover ended with ${outcome.code}: ${outcome.stderr}`);
        return;
      }
      default:
        disturbance satisfies never;
    }
  }

  /** Resolves when a table is on every replica: readers of a low level take what comes, and one replica is late on purpose. */
  async whenEverywhere(table: string): Promise<void> {
    const { members } = await this.#cluster.status();
    for (const replica of members.filter(({ role }) => role === 'replica')) {
      await until(`${table} on ${replica.id}`, async () =>
        (await this.#on(replica, `select to_regclass('${table}') is not null`)) === 'true' ? true : null,
      );
    }
  }

  /** Long reads on replicas, and a lock replayed in their way: they are cancelled there, and must be answered all the same. */
  async #conflict(): Promise<void> {
    const [writer, ...readers] = Array.from({ length: 4 }, () => this.#cluster.client());
    for (const client of [writer!, ...readers]) await client.connect();
    try {
      await writer!.query('create table if not exists churn as select generate_series(1, 10) as i');
      for (const reader of readers) await reader.query("set understudy.consistency = 'eventual'");
      await this.whenEverywhere('churn');
      const answers = Promise.all(
        readers.map(reader => reader.query('select count(*)::int as n from churn where pg_sleep(0.2) is not null')),
      );
      const [counted] = await Promise.all([answers, writer!.query('alter table churn add column if not exists extra int')]);
      if (counted.some(({ rows }) => rows[0].n !== 10)) throw new Error('a long read was answered wrongly');
      await writer!.query('drop table churn');
    } finally {
      await Promise.all([writer!, ...readers].map(client => client.end()));
    }
  }

  /** One value of a member itself, past the router; waits for one that is starting. */
  #on(member: MemberStatus, sql: string): Promise<string> {
    return until(`an answer of ${member.id}`, () => this.#once(member, sql).catch(unlessStarting), 60_000);
  }

  async #once(member: MemberStatus, sql: string): Promise<string> {
    const url = new URL(this.#cluster.url);
    const client = new pg.Client({
      host: member.host,
      port: member.port,
      user: url.username,
      password: decodeURIComponent(url.password),
      database: 'postgres',
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<Record<string, unknown>>(sql);
      return String(Object.values(rows[0] ?? {})[0] ?? '');
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Null for a server that is not there at the moment. */
function unlessStarting(error: Error & { code?: string }): null {
  if (error.code?.startsWith('57P') || error.code?.startsWith('ECONN') || error.message.startsWith('Connection terminated')) return null;
  throw error;
}

/**
 * What happens when, from the seed alone: a primary is killed at each third of the time and a switchover happens at its half; in
 * between replicas are paused, stopped and made to cancel reads in turn. Takes the time that has passed after each.
 */
export function* plan(seed: number, durationMs: number): Generator<Disturbance, void, number> {
  const small: readonly Disturbance[] = ['pause-replay', 'stop-replica', 'conflict'];
  const large: { readonly at: number; readonly what: Disturbance }[] = [
    { at: 1 / 3, what: 'kill-primary' },
    { at: 1 / 2, what: 'switchover' },
    { at: 2 / 3, what: 'kill-primary' },
  ];
  for (let n = seed, nowMs = 0; ; ) {
    const due = large[0];
    if (due !== undefined && nowMs >= due.at * durationMs) {
      large.shift();
      nowMs = yield due.what;
    } else if (nowMs >= durationMs) {
      return;
    } else {
      nowMs = yield small[n % small.length]!;
      n += 1;
    }
  }
}

function replicasOf(status: StatusDocument): readonly MemberStatus[] {
  return status.members.filter(member => member.role === 'replica' && member.state === 'running');
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
