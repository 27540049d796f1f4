import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MemberStatus, StatusDocument } from '../../packages/server/src/api/types.ts';
import { Cluster } from '../support/cluster.ts';
import { freeze } from '../support/freeze.ts';
import { until } from '../support/wait.ts';

const memberOf = (status: StatusDocument, id: string): MemberStatus => {
  const member = status.members.find(each => each.id === id);
  if (!member) throw new Error(`there is no ${id}`);
  return member;
};

describe('members that do not simply follow the primary', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.prepare();
    writeFileSync(join(cluster.parent, 'understudy.yaml'), 'failover:\n  replicaTimeoutMs: 1500\n');
    expect((await cluster.up('--replicas', '1')).code).toBe(0);
    await onRouter('create table t as select generate_series(1, 3) as i');
  });
  afterAll(() => cluster.destroy());

  async function onRouter(text: string): Promise<void> {
    const client = cluster.client();
    await client.connect();
    await client.query(text);
    await client.end();
  }

  /** Rows of t as that member itself shows them. */
  async function rowsOn(id: string): Promise<number> {
    const { host, port } = memberOf(await cluster.status(), id);
    const { username, password } = new URL(cluster.url);
    const client = new pg.Client({ host, port, user: username, password: decodeURIComponent(password), database: 'postgres' });
    await client.connect();
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from t');
    await client.end();
    return rows[0]!.n;
  }

  it('a delayed replica shows the past, takes no part in a failover, and the cluster is healthy before and after', async () => {
    const bad = await cluster.command('replica', 'add', '--delay', 'tomorrow');
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('--delay: must be a time such as 30min or 1h')]);
    expect((await cluster.command('replica', 'add', '--delay', '1h')).code).toBe(0);
    await onRouter('delete from t where i > 1');
    const before = await cluster.whenHealthy();
    expect(memberOf(before, 'n3')).toMatchObject({ applyDelayMs: 3_600_000, inCohort: false });
    await until('the deletion on n2', async () => ((await rowsOn('n2')) === 1 ? true : null));
    await cluster.whenStatus('WAL that n3 has and does not apply', s => {
      const { receiveLsn } = memberOf(s, 'n1');
      const n3 = memberOf(s, 'n3');
      return n3.receiveLsn === receiveLsn && (n3.lagBytes ?? 0) > 0;
    });
    expect(await rowsOn('n3')).toBe(3);

    const refused = await cluster.command('switchover', '--to', 'n3');
    expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('n3 is a delayed replica')]);
    process.kill(memberOf(before, before.primary!).postmasterPid!, 'SIGKILL');
    const after = await cluster.whenStatus('another primary', s => s.primary === 'n2' && s.verdict === 'healthy');
    expect(after.term).toBe(before.term + 1);
    expect(await rowsOn('n3')).toBe(3);
    // The same PostgreSQL as before: to change its upstream it needed no restart.
    expect(memberOf(after, 'n3').postmasterPid).toBe(memberOf(before, 'n3').postmasterPid);
    expect((await cluster.command('status')).stdout).toContain('running, 1 h delayed');
    expect((await cluster.command('replica', 'remove', 'n3', '--yes')).code).toBe(0);
  });

  it('a cascading replica streams from its upstream, through a failover, and from the primary while that is away', async () => {
    const stranger = await cluster.command('replica', 'add', '--follows', 'n9');
    expect([stranger.code, stranger.stderr]).toEqual([2, expect.stringContaining('There is no member n9')]);
    expect((await cluster.command('replica', 'add')).code).toBe(0);
    const start = await cluster.whenHealthy();
    const upstream = start.members.find(({ role }) => role === 'replica')!.id;
    const added = await cluster.command('replica', 'add', '--follows', upstream, '--json');
    const id = String(JSON.parse(added.stdout).member);
    const from = (who: string) => (s: StatusDocument) => s.verdict === 'healthy' && memberOf(s, id).cascade?.from === who;
    const before = await cluster.whenStatus('it streams from its upstream', from(upstream));
    expect(memberOf(before, id)).toMatchObject({ cascade: { upstream }, inCohort: false });
    // Its first copy came from there, too.
    expect((await cluster.command('events')).stdout).toContain(`${id} has a verified copy of ${upstream} `);
    expect(before.durability.cohort).not.toContain(id);
    expect((await cluster.command('status')).stdout).toMatch(new RegExp(`─ ${upstream} [^]*─ ${id} `));

    // Whoever wins, it goes on: from its upstream as a replica, or from its upstream as the primary.
    process.kill(memberOf(before, before.primary!).postmasterPid!, 'SIGKILL');
    await cluster.whenStatus('it streams from its upstream after a failover', s => s.term > before.term && from(upstream)(s));
    await onRouter('insert into t values (7)');
    const rows = await rowsOn(upstream);
    await until('the row', async () => ((await rowsOn(id)) === rows ? true : null));

    const now = await cluster.status();
    if (now.primary === upstream) expect((await cluster.command('switchover')).code).toBe(0);
    const away = await cluster.whenStatus('its upstream is a replica', s => s.primary !== upstream && from(upstream)(s));
    const thaw = await freeze(cluster, memberOf(away, upstream));
    const fallen = await cluster
      .whenStatus('it streams from the primary', s => memberOf(s, id).cascade?.from === s.primary)
      .finally(() => thaw());
    expect(fallen.term).toBe(away.term);
    await cluster.whenStatus('it is back at its upstream', from(upstream));
  });

  it('with acknowledgements from other zones, only replicas that stand elsewhere count, wherever the primary is', async () => {
    const before = await cluster.whenHealthy();
    const [west, east] = before.durability.cohort as [string, string];
    expect((await cluster.command('down')).code).toBe(0);
    // On one machine nobody says where members stand, so their zones are put where several machines have theirs.
    const path = join(cluster.data, 'state.json');
    const document = JSON.parse(readFileSync(path, 'utf8')) as { state: { members: Record<string, { zone: string | null }> } };
    for (const [id, member] of Object.entries(document.state.members)) member.zone = id === west ? 'west' : 'east';
    writeFileSync(path, JSON.stringify(document));
    writeFileSync(join(cluster.parent, 'understudy.yaml'), 'acksFrom: other-zones\n');
    expect((await cluster.up()).code).toBe(0);
    const across = await cluster.whenStatus('the west alone counts', s => s.verdict === 'healthy' && s.durability.cohort.join() === west);
    expect(across.primary).toBe(before.primary);
    await onRouter('insert into t values (8)');

    expect((await cluster.command('switchover', '--to', west)).code).toBe(0);
    const moved = await cluster.whenStatus('the east counts', s => s.verdict === 'healthy' && s.durability.cohort.length === 2);
    expect(moved.durability.cohort).toEqual([before.primary!, east].sort());
  });
});
