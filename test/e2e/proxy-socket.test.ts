import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type BoundHandle, type BoundAddress, bindHandle } from '../../packages/server/src/proxy/workers/bound-handle.ts';
import { EtcdStore } from '../../packages/server/src/store/etcd/store.ts';
import { createSecrets } from '../../packages/server/src/supervisor/secrets.ts';
import { EtcdCluster } from '../../packages/server/test/integration/etcd-fixture.ts';
import { threeMembers } from '../../packages/server/test/store/fixture.ts';
import { BIN, freePort } from '../support/cluster.ts';
import { hasProgram, type Outcome, outcomeOf } from '../support/program.ts';

const LIMIT_MS = 60_000;
/** PostgreSQL's question whether TLS is spoken, and the answer that it is not. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const NO_TLS = 'N';

interface Service {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
}

/** `understudy proxy --config` as a socket unit starts it. Its servers are not there: that it answers at all is what matters here. */
describe.skipIf(!hasProgram('etcd'))('a proxy whose port is held open by somebody else', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-socket-'));
  let etcd: EtcdCluster;

  beforeAll(async () => {
    etcd = await EtcdCluster.start(1);
    const options = { endpoints: etcd.endpoints, prefix: '/understudy/main/', tls: null, login: null, attemptMs: 1000 };
    await (await EtcdStore.open(options, threeMembers))?.close();
    createSecrets(join(directory, 'secrets.json'));
    const written = { name: 'p1', data: 'data', host: '127.0.0.1', port: await freePort(), secrets: 'secrets.json' };
    writeFileSync(join(directory, 'proxy.yaml'), JSON.stringify({ ...written, etcd: { endpoints: etcd.endpoints } }));
  });
  afterAll(async () => {
    await etcd.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Descriptor 3 is `fd`, and the variables say so to this process alone. */
  function start(fd: number, workers: number): Service {
    const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"';
    const child = spawn('sh', ['-c', script, process.execPath, BIN, 'proxy', '--config', 'proxy.yaml'], {
      cwd: directory,
      env: { ...process.env, NO_COLOR: '1', UNDERSTUDY_PROXY_WORKERS: String(workers) },
      stdio: ['ignore', 'pipe', 'pipe', fd],
    });
    return { child, ended: outcomeOf(child, null, LIMIT_MS) };
  }

  it.each([1, 2])('with %i workers, whoever comes while it is stopped is served when it runs again', async workers => {
    const { handle, port } = held();
    const first = start(handle.fd, workers);
    await said(first.child, `Proxy p1 listens on port ${port}, which systemd holds open`);
    expect(await answerTo(client(port))).toBe(NO_TLS);
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 0, stdout: '' });

    const waiting = client(port);
    await once(waiting, 'connect');
    const answer = answerTo(waiting);
    const second = start(handle.fd, workers);
    expect(await answer).toBe(NO_TLS);
    expect(await answerTo(client(port))).toBe(NO_TLS);
    second.child.kill('SIGTERM');
    expect((await second.ended).code).toBe(0);
  });

  it('says what is wrong with a descriptor on which nobody can connect', async () => {
    const file = start(openSync(join(directory, 'proxy.yaml'), 'r'), 1);
    const outcome = await file.ended;
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('The socket that systemd passes cannot be listened on: descriptor 3 is no TCP socket');
    expect(outcome.stderr).toContain('ListenStream=');

    const { handle, port } = held();
    const running = start(handle.fd, 1);
    await said(running.child, 'listens on port');
    const connected = client(port);
    await once(connected, 'connect');
    const connection = start((connected as unknown as { _handle: BoundHandle })._handle.fd, 1);
    expect((await connection.ended).stderr).toContain('descriptor 3 is a connection, not a port');
    running.child.kill('SIGTERM');
    await running.ended;
  });
});

/** A bound port of this process, which never accepts anybody itself. */
function held(): { handle: BoundHandle; port: number } {
  const handle = bindHandle('127.0.0.1', 0, 4);
  onTestFinished(() => handle.close());
  const at: Partial<BoundAddress> = {};
  handle.getsockname(at);
  return { handle, port: at.port! };
}

function client(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(SSL_REQUEST);
  return socket;
}

async function answerTo(socket: Socket): Promise<string> {
  const [data] = (await once(socket, 'data', { signal: AbortSignal.timeout(LIMIT_MS) })) as [Buffer];
  return data.toString();
}

/** Resolves when the program has said so on stderr; rejects when it ends before. */
function said(child: ChildProcess, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (data: Buffer) => {
      text += data.toString();
      if (text.includes(what)) resolve();
    });
    child.once('close', () => reject(new Error(`it ended, and said: ${text}`)));
  });
}
