import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtcdCluster } from '../../packages/server/test/integration/etcd-fixture.ts';
import { BIN } from '../support/cluster.ts';
import { DirectWriter } from '../support/direct-writer.ts';
import { DEBIAN_BIN, HandMadeCluster, type HandMadeServer, PASSWORD } from '../support/hand-made.ts';
import { type MemberService, MemberServices } from '../support/member-services.ts';
import { expectDone, hasProgram, run } from '../support/program.ts';
import { until } from '../support/wait.ts';

const APP = { host: '127.0.0.1', user: 'app', password: PASSWORD, database: 'shop' };

const STREAMS = "select application_name from pg_stat_replication where state = 'streaming' order by 1";

/** docs/operating/adopting.md, on one machine: three servers set up by hand, with an application that writes all the time. */
describe.skipIf(!hasProgram('etcd') || !existsSync(DEBIAN_BIN))('a cluster that people have set up by hand', () => {
  let etcd: EtcdCluster;
  let hand: HandMadeCluster;
  let servers: HandMadeServer[];
  let n1: MemberService;
  let n2: MemberService;
  let n3: MemberService;
  let writer: DirectWriter;

  beforeAll(async () => {
    [etcd, hand] = await Promise.all([EtcdCluster.start(1), HandMadeCluster.prepare()]);
    const services = new MemberServices(hand.directory, etcd.endpoints, { provider: 'system', binDir: DEBIAN_BIN }, 'understudy');
    const primary = await hand.primary('alpha');
    servers = [primary, await hand.replica('beta', primary, 'debian'), await hand.replica('gamma', primary, 'plain')];
    [n1, n2, n3] = (await Promise.all(servers.map((server, i) => services.write(`n${i + 1}`, server)))) as [
      MemberService,
      MemberService,
      MemberService,
    ];
    writer = new DirectWriter(
      APP,
      servers.map(({ port }) => port),
    );
    await writer.start();
  });

  afterAll(async () => {
    await writer?.stop();
    for (const member of members()) await member?.stop();
    for (const server of servers ?? []) if (existsSync(join(server.data, 'postmaster.pid'))) hand.stop(server);
    await etcd?.stop();
    hand?.remove();
  });

  const members = (): MemberService[] => [n1, n2, n3];
  const serverOf = (member: MemberService): HandMadeServer => servers[members().indexOf(member)]!;
  const memberNamed = (name: string | null): MemberService => members().find(member => member.name === name)!;
  const ask = async (member: MemberService, question: string): Promise<Record<string, unknown>[]> =>
    await hand.asSuperuser(serverOf(member), async client => (await client.query(question)).rows);
  const pids = (): number[] => servers.map(server => hand.pid(server));
  const inodes = (): number[] => servers.map(({ data }) => statSync(data).ino);

  it('is looked at first, and nothing is touched', async () => {
    const files = (): string[] =>
      servers.flatMap(({ config }) => ['pg_hba.conf', 'postgresql.conf'].map(name => readFileSync(join(config, name), 'utf8')));
    const before = files();
    const look = await n1.adopt(['--dry-run']);
    expect(look).toMatchObject({ code: 0 });
    expect(look.stdout).toContain('It is a primary on timeline 1');
    expect(look.stdout).toContain('Roles with MD5 passwords cannot log in through a router: legacy.');
    expect(look.stdout).toContain('Replicas that stream from it: beta (127.0.0.1), gamma (127.0.0.1)');
    expect(look.stdout).toContain('start.conf has Debian start it with the machine');
    const early = await n2.adopt();
    expect(early).toMatchObject({ code: 6 });
    expect(early.stderr).toContain('there is no cluster in the store yet');
    expect(files()).toEqual(before);
    expect(await ask(n1, "select rolname from pg_roles where rolname like 'understudy%'")).toEqual([]);
    expect(existsSync(join(hand.directory, 'n1', 'understudy'))).toBe(false);
  });

  it('is adopted while it works: no restart, no copy, no error, and from then on writes are protected', async () => {
    const before = { pids: pids(), inodes: inodes() };
    expectDone(await n1.adopt());
    n1.start();
    const alone = await n1.whenStatus('a primary', ({ primary }) => primary === 'n1');
    expect(alone.durability.protected).toBe(false);
    // Cut off anywhere, the same command goes on.
    await n2.adoptCutOff();
    await Promise.all(
      [n2, n3].map(async member => {
        expectDone(await member.adopt());
        member.start();
      }),
    );
    const status = await n1.whenStatus(
      'protected writes',
      ({ verdict, durability }) => verdict === 'healthy' && durability.cohort.length === 2,
    );
    expect(status.durability).toMatchObject({ acks: 1, protected: true });
    await writer.writes(200);
    expect(writer.errors).toEqual([]);
    expect({ pids: pids(), inodes: inodes() }).toEqual(before);
    const slots = await ask(n1, 'select slot_name from pg_replication_slots order by 1');
    expect(slots.map(({ slot_name }) => slot_name)).toEqual(['understudy_n2', 'understudy_n3']);
    const legacy = new pg.Client({ ...APP, user: 'legacy', port: n1.port });
    await legacy.connect();
    await legacy.end();
    expect(readFileSync(join(serverOf(n1).config, 'start.conf'), 'utf8')).toContain('disabled');
  });

  it('takes on at a rolling restart what waited for one', async () => {
    const waiting = await n1.whenStatus('settings that wait', status => status.members.every(m => (m.pendingRestart ?? []).length > 0));
    expect(waiting.members[0]!.pendingRestart).toContain('wal_level');
    expectDone(await n1.operate('restart', '--yes'));
    const after = await n1.whenStatus(
      'no more',
      ({ verdict, members: all }) => verdict === 'healthy' && all.every(m => !m.pendingRestart?.length),
    );
    expect(after.primary).not.toBe('n1');
    const question = "select current_setting('wal_level') as w, current_setting('shared_buffers') as b, current_setting('work_mem') as m";
    for (const member of members()) expect(await ask(member, question)).toEqual([{ w: 'logical', b: '32MB', m: '5MB' }]);
    await writer.writes(50);
  });

  it('survives the death of its primary, which comes back with the data that it had', async () => {
    const { primary } = await n1.whenStatus('a healthy cluster', ({ verdict }) => verdict === 'healthy');
    const before = inodes();
    process.kill(hand.pid(serverOf(memberNamed(primary))), 'SIGKILL');
    const after = await n1.whenStatus(
      'another primary',
      status => status.verdict === 'healthy' && status.primary !== primary && status.durability.cohort.length === 2,
    );
    await writer.writes(50);
    expect(inodes()).toEqual(before);
    expect(await writer.lostAt(memberNamed(after.primary).port)).toEqual([]);
  });

  it('is released: the servers go on as a plain primary and plain replicas, and nothing restarts', async () => {
    const { primary } = await n1.whenStatus(
      'a healthy cluster',
      ({ verdict, durability }) => verdict === 'healthy' && durability.cohort.length === 2,
    );
    const plan = await n1.operate('release', '--dry-run');
    expect(plan.stdout).toContain(`The files of ${primary} become those of a plain primary`);
    const before = { pids: pids(), errors: writer.errors.length };
    expectDone(await n1.operate('release', '--yes'));
    for (const member of members()) expect(await member.ended).toMatchObject({ code: 0 });
    const leader = memberNamed(primary);
    const followers = members().filter(member => member !== leader);
    expect(await ask(leader, STREAMS)).toEqual(followers.map(({ name }) => ({ application_name: name })));
    expect(await ask(leader, "select current_setting('synchronous_standby_names') as s")).toEqual([{ s: '' }]);
    for (const member of members()) {
      const { config, data } = serverOf(member);
      expect(readFileSync(join(config, 'postgresql.conf'), 'utf8')).not.toContain('>>> Understudy');
      expect(existsSync(join(data, 'understudy.conf'))).toBe(false);
      expect(await ask(member, 'select * from pg_hba_file_rules where error is not null')).toEqual([]);
    }
    expect(readFileSync(join(serverOf(n1).config, 'start.conf'), 'utf8')).toContain('auto');
    await writer.writes(100);
    expect({ pids: pids(), errors: writer.errors.length }).toEqual(before);
    // The tools that it was set up with go on with it.
    const restarted = followers[0]!;
    hand.stop(serverOf(restarted));
    hand.start(serverOf(restarted));
    await until('the replica streams again', async () => ((await ask(leader, STREAMS)).length === 2 ? true : null));
    expect(await writer.lostAt(leader.port)).toEqual([]);
    const again = await run(process.execPath, [BIN, 'member', '--config', restarted.file], { env: { NO_COLOR: '1' } });
    expect(again).toMatchObject({ code: 6, stderr: expect.stringContaining('The cluster shop was released') });
  });

  it('can be adopted again', async () => {
    const roles = await Promise.all(members().map(async member => (await ask(member, 'select pg_is_in_recovery() as r'))[0]!['r']));
    const leader = members()[roles.indexOf(false)]!;
    const follower = members().find(member => member !== leader)!;
    for (const member of [leader, follower]) {
      expectDone(await member.adopt());
      member.start();
    }
    const status = await leader.whenStatus('protected writes', ({ durability }) => durability.protected);
    expect(status.primary).toBe(leader.name);
    expect(status.members.map(({ id }) => id).toSorted()).toEqual([leader.name, follower.name].toSorted());
    await writer.writes(50);
    expect(await writer.lostAt(leader.port)).toEqual([]);
  });
});
