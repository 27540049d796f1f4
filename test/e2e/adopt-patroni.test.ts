import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATRONI_PASSWORD } from '../../bench/failover/patroni-config.ts';
import { EtcdCluster } from '../../packages/server/test/integration/etcd-fixture.ts';
import { DirectWriter } from '../support/direct-writer.ts';
import { DEBIAN_BIN } from '../support/hand-made.ts';
import { type MemberService, MemberServices } from '../support/member-services.ts';
import { PatroniCluster } from '../support/patroni.ts';
import { expectDone, hasProgram } from '../support/program.ts';

const LOGIN = { host: '127.0.0.1', user: 'postgres', password: PATRONI_PASSWORD, database: 'postgres' };

/** The sequence of docs/operating/adopting.md for a cluster that Patroni runs. */
describe.skipIf(!hasProgram('etcd') || !hasProgram('patroni') || !existsSync(DEBIAN_BIN))('a cluster that Patroni runs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-adopt-'));
  let etcd: EtcdCluster;
  let patroni: PatroniCluster;
  let members: MemberService[] = [];
  let writer: DirectWriter;

  beforeAll(async () => {
    chmodSync(directory, 0o755);
    etcd = await EtcdCluster.start(1);
    patroni = await PatroniCluster.start(new URL(etcd.endpoints[0]!).host, ['p1', 'p2']);
    const services = new MemberServices(directory, etcd.endpoints, { provider: 'system', binDir: DEBIAN_BIN }, 'understudy');
    members = await Promise.all(
      patroni.nodes.map(({ directory: home, port }, i) => services.write(`n${i + 1}`, { data: join(home, 'data'), port })),
    );
    writer = new DirectWriter(
      LOGIN,
      members.map(({ port }) => port),
    );
    await writer.start();
  });

  afterAll(async () => {
    await writer?.stop();
    for (const member of members) await member.stop();
    await patroni?.remove();
    await etcd?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const lifeOf = ({ data }: MemberService): unknown => ({
    postmaster: readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0],
    inode: statSync(data).ino,
  });

  it('is refused while Patroni runs it, and adopted in place when that is paused and stopped', async () => {
    const [n1, n2] = members as [MemberService, MemberService];
    const password = { PGPASSWORD: PATRONI_PASSWORD };
    const busy = await n1.adopt([], password);
    expect(busy).toMatchObject({ code: 6 });
    expect(busy.stdout).toContain('patronictl pause --wait');

    const before = members.map(lifeOf);
    expect(await patroni.control('pause', '--wait')).toMatchObject({ code: 0 });
    await patroni.stopPatroni();
    for (const member of [n1, n2]) {
      expectDone(await member.adopt([], password));
      member.start();
      await n1.whenStatus(`${member.name} at work`, status => status.members.some(m => m.id === member.name && m.state === 'running'));
    }
    await n1.whenStatus('protected writes', ({ verdict, durability }) => verdict === 'healthy' && durability.protected);
    await writer.writes(100);
    expect(writer.errors).toEqual([]);
    expect(members.map(lifeOf)).toEqual(before);
    expectDone(await n1.operate('switchover', '--yes'));
    await writer.writes(50);
    expect(await writer.lostAt(n2.port)).toEqual([]);
  });
});
