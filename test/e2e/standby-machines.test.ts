import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { EtcdCluster } from '../../packages/server/test/integration/etcd-fixture.ts';
import { type MemberService, MemberServices } from '../support/member-services.ts';
import { expectDone, hasProgram } from '../support/program.ts';
import { until } from '../support/wait.ts';

/** Two regions of services, each with an etcd of its own, that trust one authority; what differs from one machine are files, certificates and the way to the source. */
describe.skipIf(!hasProgram('etcd'))('a standby cluster of services', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-regions-'));
  const etcds: EtcdCluster[] = [];
  let east: MemberService[] = [];
  let west: MemberService[] = [];

  beforeAll(async () => {
    chmodSync(directory, 0o755);
    etcds.push(await EtcdCluster.start(1), await EtcdCluster.start(1));
    const [ofEast, ofWest] = etcds as [EtcdCluster, EtcdCluster];
    const services = new MemberServices(directory, ofEast.endpoints, { provider: 'embedded' }, 'postgres');
    await services.useTls();
    east = [await services.write('e1', null), await services.write('e2', null)];
    for (const member of east) member.start();
    await east[0]!.whenStatus('a healthy source', ({ verdict, members }) => verdict === 'healthy' && members.length === 2);
    const of = `host=${east.map(() => '127.0.0.1').join(',')} port=${east.map(({ port }) => port).join(',')}`;
    const elsewhere = { cluster: 'west', etcd: { endpoints: ofWest.endpoints }, standby: { of } };
    west = [await services.write('w1', null, elsewhere), await services.write('w2', null, elsewhere)];
    for (const member of west) member.start();
  });

  afterAll(async () => {
    const members = [...west, ...east];
    for (const member of members) await member.stop();
    for (const { data } of members) for (const { pid } of await serverProcesses(data)) process.kill(pid, 'SIGKILL');
    for (const etcd of etcds) await etcd.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  async function ask<T extends pg.QueryResultRow>({ port, secrets }: MemberService, text: string): Promise<readonly T[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: secrets.superuser,
      database: 'postgres',
      ssl: { rejectUnauthorized: false },
    });
    await client.connect();
    try {
      return (await client.query<T>(text)).rows;
    } finally {
      await client.end();
    }
  }

  it('follows its source with certificates, is promoted with all that was written there, and goes on by itself', async () => {
    const [w1] = west as [MemberService, MemberService];
    const status = await w1.whenStatus(
      'a healthy standby',
      s => s.verdict === 'healthy' && s.members.length === 2 && s.standby?.leader != null,
    );
    expect(status.primary).toBeNull();
    const source = await east[0]!.whenStatus('a primary', ({ primary }) => primary !== null);
    const primary = east.find(({ name }) => name === source.primary)!;
    await ask(primary, 'create table t (i int)');
    await ask(primary, 'insert into t select generate_series(1, 1000)');
    for (const member of west)
      await until(`the rows at ${member.name}`, async () => {
        const rows = await ask<{ n: number }>(member, 'select count(*)::int as n from t').catch(() => []);
        return rows[0]?.n === 1000 ? true : null;
      });
    const leader = west.find(({ name }) => name === status.standby?.leader)!;
    expect(await ask(leader, 'select slot_name from pg_stat_wal_receiver')).toEqual([{ slot_name: 'standby_west' }]);
    const ofSlot = "pid = (select active_pid from pg_replication_slots where slot_name = 'standby_west')";
    expect(await ask(primary, `select ssl, client_serial is not null as shows from pg_stat_ssl where ${ofSlot}`)).toEqual([
      { ssl: true, shows: true },
    ]);
    expect(await w1.operate('promote', '--yes')).toMatchObject({ code: 6 });

    // The machines of the source are stopped, replicas first: then the primary ends with a clean shutdown that has reached the standby.
    for (const member of [...east.filter(each => each !== primary), primary]) await member.stop();
    expectDone(await w1.operate('promote', '--yes'));
    const promoted = await w1.whenStatus('protected writes', s => s.primary !== null && s.durability.protected);
    const now = west.find(({ name }) => name === promoted.primary)!;
    await ask(now, 'insert into t values (0)');
    expect(await ask(now, 'select count(*)::int as n from t')).toEqual([{ n: 1001 }]);
  });
});
