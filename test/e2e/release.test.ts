import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { EtcdCluster } from '../../packages/server/test/integration/etcd-fixture.ts';
import { DirectWriter } from '../support/direct-writer.ts';
import { type MemberService, MemberServices } from '../support/member-services.ts';
import { expectDone, hasProgram } from '../support/program.ts';

/** The embedded PostgreSQL 18, in a cluster that Understudy has made, with certificates between its members. */
describe.skipIf(!hasProgram('etcd'))('a cluster that Understudy has made', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-release-'));
  let etcd: EtcdCluster;
  let members: MemberService[] = [];
  let writer: DirectWriter | null = null;

  beforeAll(async () => {
    chmodSync(directory, 0o755);
    etcd = await EtcdCluster.start(1);
    const services = new MemberServices(directory, etcd.endpoints, { provider: 'embedded' }, 'postgres');
    await services.useTls();
    members = [await services.write('n1', null), await services.write('n2', null)];
    for (const member of members) member.start();
    await members[0]!.whenStatus('a healthy cluster', ({ verdict, members: all }) => verdict === 'healthy' && all.length === 2);
  });

  afterAll(async () => {
    await writer?.stop();
    for (const member of members) await member.stop();
    for (const { data } of members) for (const { pid } of await serverProcesses(data)) process.kill(pid, 'SIGKILL');
    await etcd?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  const postmasters = (): string[] => members.map(({ data }) => readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]!);

  it('is released without a restart, and adopted again', async () => {
    const [n1] = members as [MemberService];
    const { superuser } = n1.secrets;
    const login = { host: '127.0.0.1', user: 'postgres', password: superuser, database: 'postgres' };
    const { primary } = await n1.whenStatus('protected writes', ({ durability }) => durability.protected);
    const leader = members.find(({ name }) => name === primary)!;
    const follower = members.find(member => member !== leader)!;
    writer = new DirectWriter(
      login,
      [leader, follower].map(({ port }) => port),
    );
    await writer.start();
    const before = postmasters();
    expectDone(await n1.operate('release', '--yes'));
    for (const member of members) expect(await member.ended).toMatchObject({ code: 0 });
    for (const { data } of members) {
      const config = readFileSync(join(data, 'postgresql.conf'), 'utf8');
      expect(config).toContain("max_connections = '200'");
      expect(config).not.toContain("'understudy");
      expect(existsSync(join(data, 'understudy.conf'))).toBe(false);
    }
    await writer.writes(100);

    for (const member of [leader, follower]) {
      expectDone(await member.adopt([], { PGPASSWORD: superuser }));
      member.start();
    }
    const after = await leader.whenStatus('protected writes', ({ durability }) => durability.protected);
    expect(after.primary).toBe(primary);
    await writer.writes(50);
    expect(postmasters()).toEqual(before);
    expect(writer.errors).toEqual([]);
    expect(await writer.lostAt(leader.port)).toEqual([]);
  });
});
