import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, onTestFinished, test } from 'vitest';
import { createAuthority } from '../../src/certificates/authority.ts';
import { hasPrograms } from '../support/programs.ts';
import { HttpsApi } from '../support/https-api.ts';
import { eventually } from './postgres-fixture.ts';

const PAGE = fileURLToPath(new URL('../../../../docs/operating/three-machines.md', import.meta.url));
/** A field of a line of `show stat`. */
const CHECK_STATUS = 36;

/** Debian's HAProxy with the configuration of docs/operating/three-machines.md, of which one server is there. */
describe.skipIf(!(await hasPrograms('haproxy')))('HAProxy asks a member by HTTPS', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-haproxy-'));
  let api: HttpsApi;

  beforeAll(async () => {
    api = await HttpsApi.start();
  });
  afterAll(async () => {
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('and takes its answer where the certificate is of the cluster, and no other', async () => {
    const other = join(directory, 'other.crt');
    writeFileSync(other, (await createAuthority('main', Date.now())).cert);
    const [own, foreign] = [await start(api.files.ca, 'own'), await start(other, 'other')];
    await eventually(async () => (await checkOf(own)) === 'L7OK', 'the primary is found');
    await eventually(async () => (await checkOf(foreign)) === 'L6RSP', 'it is refused');
  });

  /** Returns the socket on which it tells how its servers are. */
  async function start(ca: string, name: string): Promise<string> {
    const socket = join(directory, `${name}.sock`);
    const [, block = ''] = /```haproxy\n([^`]+)```/.exec(readFileSync(PAGE, 'utf8')) ?? [];
    const config = block
      .replace('/etc/haproxy/ca.crt', ca)
      .replace(':5000', `127.0.0.1:${await freePort()}`)
      .replaceAll('10.0.0.', '127.0.0.')
      .replaceAll('port 8008', `port ${api.server.port}`);
    const file = join(directory, `${name}.cfg`);
    writeFileSync(file, `global\n  stats socket ${socket}\n${config}`);
    const program: ChildProcess = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
    onTestFinished(() => void program.kill('SIGKILL'));
    return socket;
  }
});

/** What the last health check of n1 came to; empty while there was none. */
async function checkOf(path: string): Promise<string> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    socket.end('show stat\n');
    let text = '';
    for await (const data of socket) text += String(data);
    return (
      text
        .split('\n')
        .find(line => line.startsWith('primary,n1,'))
        ?.split(',')[CHECK_STATUS] ?? ''
    );
  } catch {
    return '';
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  return port;
}
