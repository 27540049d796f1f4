import type { Lsn, PrimaryServer } from '@understudy/core/cluster';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveDivergedWal, clone, memberPaths, rewind, type Upstream } from '../../src/postgres/index.ts';
import { availableProviders, type Bench, connect, eventually, type Member, openBench, sql, startPrimary } from './postgres-fixture.ts';

function upstreamOf(primary: Member, replica: Member, term: number): Upstream {
  return { host: '127.0.0.1', port: primary.spec.settings.port, applicationName: `${replica.id}_t${term}`, slotName: `slot_${replica.id}` };
}

async function cloneFrom(primary: Member, replica: Member): Promise<void> {
  const source = { host: '127.0.0.1', port: primary.spec.settings.port };
  await clone(replica.spec, { source, systemId: await primary.server.systemId(), slotName: `slot_${replica.id}` });
}

async function startReplica(primary: Member, replica: Member, term: number): Promise<void> {
  await replica.server.start({ role: 'replica', upstream: upstreamOf(primary, replica, term) });
  await replica.server.waitUntilReady(20_000);
}

async function streams(replica: Member): Promise<boolean> {
  const seen = await replica.server.observe(2000);
  return seen.kind === 'replica' && seen.receiver?.streaming === true;
}

async function heldLsn(replica: Member): Promise<Lsn> {
  const seen = await replica.server.observe(2000);
  return seen.kind === 'replica' ? (seen.walEnd?.lsn ?? 0n) : 0n;
}

describe.each(availableProviders())('replication with the %s provider', kind => {
  let bench: Bench;
  let n1: Member;
  let n2: Member;
  let n3: Member;

  beforeAll(async () => {
    bench = await openBench(kind);
    [n1, n2, n3] = [await bench.member('n1'), await bench.member('n2'), await bench.member('n3')];
    await startPrimary(n1);
  });

  afterAll(() => bench?.close());

  test('clones under write load, with progress, and follows', async () => {
    await sql(n1, 'CREATE TABLE t (i bigint PRIMARY KEY, filler text)');
    await sql(n1, "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i");
    const writer = await connect(n1);
    let written = 20_000;
    const writing = new AbortController();
    const load = (async () => {
      while (!writing.signal.aborted) await writer.query('INSERT INTO t VALUES ($1, $2)', [(written += 1), 'y'.repeat(300)]);
    })();
    const progress: number[] = [];
    const result = await clone(n2.spec, {
      source: { host: '127.0.0.1', port: n1.spec.settings.port },
      systemId: await n1.server.systemId(),
      slotName: 'slot_n2',
      onProgress: ({ bytesDone }) => progress.push(bytesDone),
    });
    writing.abort();
    await load;
    await writer.end();
    expect(result.files).toBeGreaterThan(900);
    expect(progress.at(-1)).toBe(result.bytes);
    expect(progress.length).toBeGreaterThan(10);

    await startReplica(n1, n2, 1);
    await eventually(() => streams(n2), 'n2 streams');
    await eventually(async () => (await sql(n2, 'SELECT count(*)::int AS n FROM t'))[0]?.['n'] === written, 'n2 has every row');
    const seen = await n2.server.observe(2000);
    expect(seen).toMatchObject({
      kind: 'replica',
      timeline: 1,
      followsAs: 'n2_t1',
      replayPaused: false,
      receiver: { applicationName: 'n2_t1', streaming: true },
    });
    expect(seen.synchronousNames).toBe('ANY 1 (understudy_nobody)');
  });

  test('refuses a source of another cluster', async () => {
    const source = { host: '127.0.0.1', port: n1.spec.settings.port };
    await expect(clone(n3.spec, { source, systemId: '1', slotName: null })).rejects.toMatchObject({ code: 'system-identifier-mismatch' });
    expect(await n3.server.reportStopped()).toEqual({ kind: 'absent' });
  });

  test('names the replica whose acknowledgement counts, once every walsender knows', async () => {
    await n1.server.setSynchronousNames({ kind: 'quorum', acks: 1, names: ['n2_t1'] }, 5000);
    const seen = await n1.server.observe(2000);
    expect(seen).toMatchObject({ kind: 'primary', synchronousNames: 'ANY 1 (n2_t1)', synchronousNamesInForce: true });
    expect(seen.kind === 'primary' && seen.senders).toMatchObject([{ applicationName: 'n2_t1', state: 'streaming', syncPriority: 1 }]);
    await sql(n1, 'INSERT INTO t VALUES (-1)');
  });

  test('an isolated replica takes and acknowledges nothing more', async () => {
    await n2.server.isolate(5000);
    const before = await n2.server.observe(2000);
    expect(before).toMatchObject({ kind: 'replica', receiver: null, followsAs: null });
    const writer = await connect(n1);
    const pending = writer.query('INSERT INTO t VALUES (-2)').then(
      () => 'acknowledged',
      () => 'failed',
    );
    await eventually(
      async () => (await sql(n1, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).length > 0,
      'the commit waits',
    );
    const after = await n2.server.observe(2000);
    expect(after.kind === 'replica' && before.kind === 'replica' && after.walEnd?.lsn).toBe(
      before.kind === 'replica' && before.walEnd?.lsn,
    );
    // Under its old name it is welcome again: the same commit is acknowledged then.
    await n2.server.follow(upstreamOf(n1, n2, 1), 5000);
    expect(await pending).toBe('acknowledged');
    await writer.end();
  });

  test('a replica that restarts alone knows the end of its WAL only when it has replayed it', async () => {
    await eventually(() => streams(n2), 'n2 streams again');
    await sql(n1, "INSERT INTO t SELECT i, repeat('z', 500) FROM generate_series(100001, 120000) i");
    const end = await eventually(async () => {
      const [primary, replica] = [await n1.server.observe(2000), await n2.server.observe(2000)];
      return primary.kind === 'primary' && replica.kind === 'replica' && replica.walEnd?.lsn === primary.insertLsn ? replica.walEnd : null;
    }, 'n2 has all WAL');
    await n2.server.fence();
    await n2.server.start({ role: 'replica', upstream: null });
    await n2.server.waitUntilReady(20_000);
    const known = await eventually(async () => {
      const seen = await n2.server.observe(2000);
      return seen.kind === 'replica' ? seen.walEnd : null;
    }, 'the end is known');
    // The primary writes a little by itself; what counts is that nothing is understated.
    expect(known.timeline).toBe(end.timeline);
    expect(known.lsn).toBeGreaterThanOrEqual(end.lsn);
  });

  test('a primary that is killed right after its promotion tells its new timeline, though pg_control has the old one', async () => {
    const n4 = await bench.member('n4');
    await cloneFrom(n1, n4);
    await n4.server.start({ role: 'replica', upstream: null });
    await n4.server.waitUntilReady(20_000);
    expect((await n4.server.promote(7, 10_000)).timeline).toBe(7);
    await n4.server.fence();
    expect(await n4.server.reportStopped()).toMatchObject({ kind: 'stopped', timeline: 7, crashed: true });
  });

  test('promotes to the timeline that it is given, and the others follow across the gap', async () => {
    await n1.server.setSynchronousNames({ kind: 'none' }, 5000);
    await cloneFrom(n1, n3);
    await startReplica(n1, n3, 1);
    await n2.server.follow(upstreamOf(n1, n2, 1), 5000);
    await eventually(async () => (await streams(n2)) && (await streams(n3)), 'both stream');
    const { flushLsn } = (await n1.server.observe(2000)) as PrimaryServer;
    await eventually(async () => (await heldLsn(n2)) >= flushLsn, 'n2 holds all that n3 may hold');
    await n1.server.fence();
    await Promise.all([n2.server.isolate(5000), n3.server.isolate(5000)]);
    await n2.server.setSynchronousNames({ kind: 'quorum', acks: 1, names: ['n3_t5'] }, 5000);
    const promotion = await n2.server.promote(5, 10_000);
    expect(promotion.timeline).toBe(5);
    const primary = await n2.server.observe(2000);
    expect(primary).toMatchObject({
      kind: 'primary',
      timeline: 5,
      history: [{ timeline: 1, endLsn: promotion.switchLsn }],
      synchronousNames: 'ANY 1 (n3_t5)',
    });

    await n2.server.ensureSlot('slot_n3', 2000);
    await n3.server.follow(upstreamOf(n2, n3, 5), 5000);
    await sql(n2, 'INSERT INTO t VALUES (-5)');
    await eventually(async () => (await sql(n3, 'SELECT 1 FROM t WHERE i = -5')).length === 1, 'n3 replays the new timeline');
    expect(await n3.server.observe(2000)).toMatchObject({
      kind: 'replica',
      timeline: 5,
      walEnd: { timeline: 5, history: primary.kind === 'primary' ? primary.history : [] },
    });
    // What the skipped numbers left behind survives a restart.
    await n3.server.fence();
    await startReplica(n2, n3, 5);
    await eventually(() => streams(n3), 'n3 streams after its restart');
  });

  test('refuses to start a standby as a primary', async () => {
    await n3.server.stop(5000);
    await expect(n3.server.start({ role: 'primary', synchronousNames: { kind: 'none' } })).rejects.toMatchObject({
      code: 'standby-data-directory',
    });
    await startReplica(n2, n3, 5);
  });

  test('slots are made once, advanced and dropped', async () => {
    // By the member itself and by the primary that keeps it for it, at the same moment.
    await Promise.all([1, 2, 3, 4].map(() => n2.server.ensureSlot('slot_n9', 5000)));
    await n2.server.ensureSlot('slot_n9', 2000);
    const before = (await n2.server.listSlots(2000)).find(slot => slot.name === 'slot_n9');
    await sql(n2, 'INSERT INTO t VALUES (-6)');
    const seen = await n2.server.observe(2000);
    const flushed = seen.kind === 'primary' ? seen.flushLsn : 0n;
    await n2.server.advanceSlot('slot_n9', flushed, 2000);
    const after = (await n2.server.listSlots(2000)).find(slot => slot.name === 'slot_n9');
    expect(after?.restartLsn).toBe(flushed);
    expect(before?.restartLsn).toBeLessThan(flushed);
    await n2.server.dropSlot('slot_n9', 2000);
    expect((await n2.server.listSlots(2000)).map(slot => slot.name)).not.toContain('slot_n9');
  });

  // The embedded binaries have no pg_rewind: there a member in this state is cloned anew.
  if (kind === 'embedded') return;

  test('keeps the WAL of a diverged primary, rewinds it, and it follows', async () => {
    await n1.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await n1.server.waitUntilReady(20_000);
    await sql(n1, 'INSERT INTO t VALUES (-7)');
    await n1.server.fence();
    const winner = await n2.server.observe(2000);
    const forkLsn = winner.kind === 'primary' ? (winner.history[0]?.endLsn ?? 0n) : 0n;
    const kept = await archiveDivergedWal(n1.spec, { forkLsn, name: 'term-5', maxBytes: 1e9 });
    expect(kept.segments.length).toBeGreaterThan(0);
    expect(kept.directory).toBe(`${memberPaths(n1.spec.paths.memberDirectory).divergedDirectory}/term-5`);
    const writer = await connect(n2);
    const writing = new AbortController();
    const load = (async () => {
      for (let i = -100; !writing.signal.aborted; i--) {
        await writer.query('INSERT INTO t VALUES ($1)', [i]);
        await writer.query('SELECT pg_switch_wal()');
      }
    })();
    const source = { host: '127.0.0.1', port: n2.spec.settings.port };
    expect(await rewind(n1.spec, { source, timeoutMs: 60_000 })).toEqual({ kind: 'rewound' });
    writing.abort();
    await load;
    await writer.end();
    // What was written meanwhile it must be given before it takes a connection, and so before it can say where its WAL ends.
    await n2.server.ensureSlot('slot_n1', 2000);
    await n1.server.start({ role: 'replica', upstream: { ...source, applicationName: 'understudy_rewound', slotName: 'slot_n1' } });
    await n1.server.waitUntilReady(10_000);
    await n1.server.isolate(5000);
    await n1.server.follow(upstreamOf(n2, n1, 5), 5000);
    await eventually(() => streams(n1), 'n1 streams');
    await eventually(async () => (await sql(n1, 'SELECT 1 FROM t WHERE i = -6')).length === 1, 'n1 has the new rows');
    expect(await sql(n1, 'SELECT 1 FROM t WHERE i = -7')).toEqual([]);
  });
});
