import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { UnderstudyError } from '@understudy/core/cluster';
import { serverProcesses } from '../../src/postgres/index.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { startSupervisor, type Supervisor } from '../../src/supervisor/index.ts';
import { lockDirectory, lockHolder } from '../../src/supervisor/lock.ts';
import { type ClusterPaths, clusterPaths, memberDirectory } from '../../src/supervisor/paths.ts';
import { prepareCluster } from '../../src/supervisor/prepare-cluster.ts';
import { eventually, freePort } from './postgres-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'understudy-test-'));
chmodSync(root, 0o711);
afterAll(() => rmSync(root, { recursive: true, force: true }));

let paths: ClusterPaths;
let flags: Record<string, unknown>;

beforeEach(async () => {
  const data = join(mkdtempSync(join(root, 'case-')), 'data');
  chmodSync(join(data, '..'), 0o711);
  paths = clusterPaths(data);
  flags = {
    data,
    replicas: 1,
    port: await freePort(),
    httpPort: await freePort(),
    memberPort: 20_000 + Math.floor(Math.random() * 20_000),
  };
});

const settings = (change: Record<string, unknown> = {}) =>
  loadSettings({ flags: { ...flags, ...change }, env: {}, cwd: root, command: 'up', configPath: null });

async function start(): Promise<Supervisor> {
  const supervisor = await startSupervisor(settings(), paths.root, '0.0.0', () => undefined);
  onTestFinished(() => supervisor.stop());
  return supervisor;
}

async function serversOf(...ids: readonly string[]): Promise<number> {
  const found = await Promise.all(ids.map(id => serverProcesses(join(memberDirectory(paths, id), 'data'))));
  return found.flat().length;
}

/** What must be so after every end: no process, no lock, no runtime file. */
async function expectNothingLeft(): Promise<void> {
  expect(await serversOf('n1', 'n2', 'n3')).toBe(0);
  expect(lockHolder(paths.lock)).toBeNull();
  expect(existsSync(paths.runtime)).toBe(false);
}

const isState = (supervisor: Supervisor, id: string, state: string): boolean =>
  supervisor.status().members.some(m => m.id === id && m.state === state);

describe('a supervisor', () => {
  test('that is stopped while a member is being copied leaves nothing behind, and the next one finishes the work', async () => {
    const first = await start();
    await eventually(async () => isState(first, 'n2', 'cloning'), 'a copy under way', 60_000);
    await Promise.all([first.stop(), first.stop()]);
    expect(await first.whenStopped).toBe(0);
    await expectNothingLeft();
    const second = await start();
    expect((await second.whenHealthy(60_000)).verdict).toBe('healthy');
    await second.stop();
    await expectNothingLeft();
  });

  test('leaves no server behind whose agent was dead at the moment of the stop', async () => {
    const supervisor = await start();
    const { members } = await supervisor.whenHealthy(60_000);
    for (const { agentPid } of members) process.kill(agentPid!, 'SIGKILL');
    await eventually(async () => supervisor.status().members.every(m => m.agentPid === null), 'the end of the agents');
    await supervisor.stop();
    await expectNothingLeft();
  });

  test('gives a name again only when nothing is left of its last bearer', async () => {
    const supervisor = await start();
    await supervisor.whenHealthy(60_000);
    for (let round = 0; round < 2; round++) {
      await supervisor.facade.perform({ kind: 'remove-replica', id: 'n2' }, 60_000);
      expect(await supervisor.facade.perform({ kind: 'add-replica' }, 60_000)).toMatchObject({ member: 'n2' });
      expect((await supervisor.whenHealthy(60_000)).members.map(m => m.id)).toEqual(['n1', 'n2']);
      expect(existsSync(join(memberDirectory(paths, 'n2'), 'data', 'PG_VERSION'))).toBe(true);
    }
  });

  test('two replicas that join at once get ports of their own', async () => {
    const supervisor = await start();
    await supervisor.whenHealthy(60_000);
    const add = () => supervisor.facade.perform({ kind: 'add-replica' }, 60_000);
    const added = await Promise.all([add(), add()]);
    expect(new Set(added.map(({ member }) => member)).size).toBe(2);
    const { members } = supervisor.status();
    expect(new Set(members.map(m => m.port)).size).toBe(4);
  });
});

describe('a directory', () => {
  test('that another supervisor holds is not touched, whatever its ports', async () => {
    const cluster = await prepareCluster(settings(), paths.root);
    const before = readFileSync(paths.marker, 'utf8');
    const again = prepareCluster(settings({ port: await freePort() }), paths.root);
    await expect(again).rejects.toMatchObject({ code: 'already-running', details: { pid: process.pid } });
    expect(readFileSync(paths.marker, 'utf8')).toBe(before);
    expect(lockHolder(paths.lock)).toBe(process.pid);
    cluster.lock.release();
  });

  test('of a cluster is read under the lock only', async () => {
    const first = await prepareCluster(settings(), paths.root);
    first.lock.release();
    const lock = lockDirectory(paths.lock);
    await expect(prepareCluster(settings(), paths.root)).rejects.toThrow(UnderstudyError);
    const { revision, state } = first.store.current;
    await first.store.change(revision, { ...state, paused: { atMs: 1 } });
    lock.release();
    const second = await prepareCluster(settings(), paths.root);
    expect(second.store.current).toEqual(first.store.current);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.secrets).toEqual(first.secrets);
    second.lock.release();
  });

  test('can be passed through by the account of PostgreSQL, and its secrets read by nobody, under any umask', async () => {
    const umask = process.umask(0o077);
    try {
      const cluster = await prepareCluster(settings(), paths.root);
      cluster.lock.release();
    } finally {
      process.umask(umask);
    }
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([paths.root, paths.members, paths.run, paths.log].map(mode)).toEqual(['711', '711', '711', '711']);
    expect([paths.secrets, paths.state].map(mode)).toEqual(['600', '600']);
  });

  test('stays untouched when a port of a new cluster is taken', async () => {
    const holder = await prepareCluster(settings(), paths.root);
    holder.lock.release();
    const elsewhere = clusterPaths(join(root, 'never-made'));
    const server = (await import('node:net')).createServer();
    await new Promise<void>(resolve => server.listen(Number(flags['port']), '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    await expect(prepareCluster(settings({ data: elsewhere.root }), elsewhere.root)).rejects.toMatchObject({ code: 'port-taken' });
    expect(existsSync(elsewhere.root)).toBe(false);
  });
});
