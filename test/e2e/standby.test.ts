import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { until } from '../support/wait.ts';

/** The addresses of a cluster's own servers, as another one follows them. */
function serversOf({ members }: StatusDocument): string {
  return `host=${members.map(({ host }) => host).join(',')} port=${members.map(({ port }) => port).join(',')}`;
}

function pidOf({ members }: StatusDocument, id: string | null | undefined): number {
  const pid = members.find(member => member.id === id)?.postmasterPid;
  if (!pid) throw new Error(`${id} does not run`);
  return pid;
}

const timelineOf = ({ members }: StatusDocument, id: string | null): number | null =>
  members.find(member => member.id === id)?.timeline ?? null;

async function ask<T extends pg.QueryResultRow>(cluster: Cluster, ...texts: readonly string[]): Promise<readonly T[]> {
  const client = cluster.client();
  await client.connect();
  try {
    let rows: readonly T[] = [];
    for (const text of texts) rows = (await client.query<T>(text)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

/** What was acknowledged to this writer: one row a statement, each with the next number. */
class Writer {
  readonly #pool: pg.Pool;
  acknowledged = 0;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;

  constructor(cluster: Cluster) {
    this.#pool = cluster.pool(1);
    this.#done = this.#work();
  }

  async #work(): Promise<void> {
    for (let i = 1; !this.#end.signal.aborted; i++) {
      // The same number again, until it is sure that it is there.
      await until(`row ${i}`, async () => {
        const text = `insert into t values (${i}) on conflict do nothing`;
        return await this.#pool.query(text).then(
          () => true,
          () => null,
        );
      });
      this.acknowledged = i;
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
    await this.#pool.end();
  }
}

describe('a standby cluster', () => {
  let source: Cluster;
  let standby: Cluster;
  let secrets: string;
  const rowsOn = async (cluster: Cluster): Promise<number> => (await ask<{ n: number }>(cluster, 'select count(*)::int as n from t'))[0]!.n;

  beforeAll(async () => {
    source = await Cluster.start('--replicas', '1');
    standby = await Cluster.prepare();
    secrets = join(source.data, 'secrets.json');
    await ask(source, 'create table t (i int primary key)');
  });
  afterAll(async () => {
    await source.destroy();
    await standby.destroy();
  });

  it('is not begun with what cannot be followed, and nothing is made', async () => {
    const of = serversOf(await source.status());
    const noSecrets = await standby.up('--standby-of', of);
    expect([noSecrets.code, noSecrets.stderr]).toEqual([2, expect.stringContaining('--standby-secrets: is missing')]);
    const password = await standby.up('--standby-of', `${of} password=x`, '--standby-secrets', secrets);
    expect([password.code, password.stderr]).toEqual([2, expect.stringContaining('must not hold a password')]);
    const nobody = await standby.up('--standby-of', 'host=127.0.0.1 port=1', '--standby-secrets', secrets);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('No server of the source can be followed: 127.0.0.1:1')]);
    expect(readdirSync(standby.parent).filter(name => name === 'data')).toEqual([]);
  });

  it('copies the source, shows what it has, and takes no writes', async () => {
    const of = serversOf(await source.status());
    const up = await standby.up('--replicas', '1', '--consistency', 'eventual', '--standby-of', of, '--standby-secrets', secrets);
    expect(up).toMatchObject({ code: 0 });
    const status = await standby.whenHealthy();
    expect(status).toMatchObject({ primary: null, standby: { leader: 'n1', streamsFromRole: 'primary' } });
    expect(status.members.map(({ role, standbyLeader }) => [role, standbyLeader])).toEqual([
      ['replica', true],
      ['replica', undefined],
    ]);
    const answers = await Promise.all(
      ['primary', 'replica', 'standby-leader'].map(path => fetch(`http://127.0.0.1:${standby.httpPort}/${path}`)),
    );
    expect(answers.map(answer => answer.status)).toEqual([503, 200, 200]);
    await ask(source, 'insert into t values (0)');
    await until('the row on the standby', async () => ((await rowsOn(standby)) === 1 ? true : null));

    await expect(ask(standby, 'insert into t values (-1)')).rejects.toMatchObject({
      code: '25006',
      message: expect.stringContaining('its primary cluster is at 127.0.0.1:'),
    });
    for (const level of ['strong', 'session'])
      await expect(ask(standby, `set understudy.consistency = '${level}'`, 'select 1')).rejects.toMatchObject({ code: '55000' });
    const levels = ["set understudy.consistency = 'bounded'", 'set understudy.max_lag_ms = 10000'];
    expect(await ask(standby, ...levels, 'select count(*)::int as n from t')).toEqual([{ n: 1 }]);
    expect(await ask(standby, "set timezone = 'Asia/Tokyo'", 'begin', "select current_setting('timezone') as zone")).toEqual([
      { zone: 'Asia/Tokyo' },
    ]);
    await expect(ask(standby, 'begin', 'insert into t values (-1)')).rejects.toMatchObject({ code: '25006' });
    const metrics = await (await fetch(`http://127.0.0.1:${standby.httpPort}/metrics`)).text();
    expect(metrics).toContain('understudy_standby_leader{member="n1"} 1');
  });

  it('refuses what is about a primary, and is not promoted while its source takes writes', async () => {
    const switchover = await standby.command('switchover');
    expect([switchover.code, switchover.stderr]).toEqual([6, expect.stringContaining('it has no primary, so there is no switchover')]);
    for (const how of [['--dry-run'], ['--yes'], ['--accept-data-loss', '--yes']]) {
      const promote = await standby.command('promote', ...how);
      expect([promote.code, promote.stderr]).toEqual([6, expect.stringContaining('The source takes writes: its primary answers at')]);
    }
    const demote = await source.command('demote', '--standby-of', serversOf(await source.status()), '--yes');
    expect([demote.code, demote.stderr]).toEqual([6, expect.stringContaining('is its own member')]);
  });

  it('follows a failover of its source, and another member leads when its leader dies', async () => {
    const writer = new Writer(source);
    try {
      const before = await source.status();
      await until('rows', async () => (writer.acknowledged > 20 ? true : null));
      process.kill(primaryOf(before).postmasterPid!, 'SIGKILL');
      const after = await source.whenStatus('another primary', s => s.primary !== null && s.primary !== before.primary);
      const timeline = timelineOf(after, after.primary);
      await standby.whenStatus(
        'the new timeline everywhere',
        s => s.verdict === 'healthy' && s.members.every(m => m.timeline === timeline),
      );

      const led = await standby.status();
      const leader = led.standby?.leader ?? null;
      process.kill(pidOf(led, leader), 'SIGKILL');
      const next = await standby.whenStatus('another leader', s => s.standby?.leader != null && s.standby.leader !== leader);
      expect(next.term).toBeGreaterThan(led.term);
      await standby.whenHealthy();
    } finally {
      await writer.stop();
    }
    const rows = await rowsOn(source);
    expect(rows).toBe(writer.acknowledged + 1);
    await until('all rows on the standby', async () => ((await rowsOn(standby)) === rows ? true : null));
  });

  it('is promoted when its source was shut down cleanly, with all that was there', async () => {
    const rows = await rowsOn(source);
    expect((await source.command('down')).code).toBe(0);
    const promoted = await standby.command('promote', '--yes');
    expect([promoted.code, promoted.stdout]).toEqual([0, expect.stringContaining('nothing of it is lost')]);
    const status = await standby.whenHealthy();
    expect(status.standby).toBeUndefined();
    expect(status.durability).toMatchObject({ acks: 1, protected: true });
    expect(timelineOf(status, status.primary)).toBeGreaterThan(10);
    await ask(standby, 'insert into t values (1000000)');
    expect(await rowsOn(standby)).toBe(rows + 1);
  });

  it('the former source comes back as its standby', async () => {
    const flag = await source.up('--standby-of', serversOf(await standby.status()), '--standby-secrets', secrets);
    expect([flag.code, flag.stderr]).toEqual([6, expect.stringContaining('--standby-of is for a new one')]);
    const demoted = await source.command('demote', '--standby-of', serversOf(await standby.status()), '--yes');
    expect([demoted.code, demoted.stdout]).toEqual([0, expect.stringContaining('Start it with `understudy up`')]);
    expect((await source.up('--consistency', 'eventual')).code).toBe(0);
    await source.whenHealthy();
    const rows = await rowsOn(standby);
    await until('the new row on the former source', async () => ((await rowsOn(source)) === rows ? true : null));
    await expect(ask(source, 'insert into t values (-2)')).rejects.toMatchObject({ code: '25006' });
  });

  it('is promoted without its source only by accepting the loss, and what diverged is set aside when that comes back', async () => {
    // The roles are exchanged now: the former source follows.
    const lost = await standby.status();
    expect((await source.command('down')).code).toBe(0);
    await ask(standby, 'insert into t values (2000000)');
    expect((await standby.command('down')).code).toBe(0);
    expect((await source.up('--consistency', 'eventual')).code).toBe(0);
    expect((await source.status()).alarms).toMatchObject([{ code: 'source-unreachable' }]);
    const refused = await source.command('promote', '--yes');
    expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('what it wrote last may be missing')]);
    const promoted = await source.command('promote', '--accept-data-loss', '--yes');
    expect([promoted.code, promoted.stdout]).toEqual([0, expect.stringContaining('FENCE THE SOURCE')]);
    await source.whenHealthy();
    await ask(source, 'insert into t values (3000000)');

    expect((await standby.command('demote', '--standby-of', serversOf(await source.status()), '--yes')).code).toBe(0);
    expect((await standby.up('--consistency', 'eventual')).code).toBe(0);
    await standby.whenHealthy();
    const kept = lost.members.flatMap(({ id }) => {
      try {
        return readdirSync(join(standby.data, 'members', id, 'diverged'));
      } catch {
        return [];
      }
    });
    expect(kept).not.toEqual([]);
    const rows = await rowsOn(source);
    await until('the same rows', async () => ((await rowsOn(standby)) === rows ? true : null));
    expect(await ask(standby, 'select i from t where i >= 1000000 order by i')).toEqual([{ i: 1_000_000 }, { i: 3_000_000 }]);
  });
});
