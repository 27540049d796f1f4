import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, createApi, serveApi } from '../../src/api/index.ts';
import { runCommandLine } from '../../src/cli/main.ts';
import { RecordedCluster } from '../api/facade.ts';
import { status } from '../support/status.ts';
import { RecordedTerminal } from '../support/terminal.ts';

const directory = mkdtempSync(join(tmpdir(), 'understudy-cli-'));
// As root, PostgreSQL runs as another account, which must be able to come here.
chmodSync(directory, 0o755);
afterAll(() => rmSync(directory, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function understudy(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const terminal = new RecordedTerminal();
  const context = { terminal, env, cwd: directory, confirm: null, takeInterrupts: () => new AbortController().signal };
  const code = await runCommandLine(args, context);
  return { code, out: terminal.outText, err: terminal.errText };
}

describe('usage errors', () => {
  it.each([
    [['up', '--prot', '1'], "error: unknown option '--prot' (Did you mean --port?).", 'understudy up --help'],
    [['statu'], "error: unknown command 'statu' (Did you mean status?).", 'understudy --help'],
    [
      ['url', '--role', 'king'],
      "error: option '--role <role>' argument 'king' is invalid. Allowed choices are router, primary, replica.",
      'understudy url --help',
    ],
    [['replica', 'remove'], "error: missing required argument 'id'.", 'understudy replica --help'],
    [['events', '--limit', 'x'], 'It must be a whole number from 1 to 2000.', 'understudy events --help'],
    [['up', '--replicas', '0'], 'error: --replicas: must be a whole number from 1 to 15, not 0.', 'understudy up --help'],
    [['up', '--replicas', '99'], 'error: --replicas: must be a whole number from 1 to 15, not 99.', 'understudy up --help'],
    [
      ['up', '--durability', 'qorum'],
      'error: --durability: must be one of quorum, async, not "qorum" (did you mean quorum?).',
      'understudy up --help',
    ],
    [['up', '--port', '70000'], 'error: --port: must be a whole number from 1 to 65535, not 70000.', 'understudy up --help'],
    [['up', '--url', 'http://localhost:1'], 'error: --url: a cluster is started on this machine only.', 'understudy up --help'],
    [['status', '--url', 'nonsense'], 'error: --url: nonsense is not a URL', 'understudy status --help'],
    [['completion', 'tcsh'], 'tcsh is none of bash, zsh, fish', 'understudy completion --help'],
  ])('%j exits with 2 and says what to do', async (args, message, help) => {
    const { code, out, err } = await understudy(args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(message);
    expect(err).toContain(`what to do: See \`${help}\`.`);
  });

  it('are one line of JSON with --json', async () => {
    const { code, out, err } = await understudy(['status', '--jso', '--json']);
    expect([code, out]).toEqual([2, '']);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'bad-usage' } });
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  it('show the help and exit with 2 when there is no command', async () => {
    const { code, err } = await understudy([]);
    expect(code).toBe(2);
    expect(err).toContain('Commands:');
  });

  it('do not happen for --help and --version', async () => {
    expect((await understudy(['--help'])).code).toBe(0);
    expect((await understudy(['up', '--help'])).out).toContain('--http-port <port>');
    expect((await understudy(['--version'])).out).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe('without a cluster', () => {
  it.each([['status'], ['url'], ['psql'], ['events'], ['pause'], ['down'], ['destroy', '--yes']])(
    '%s says that there is none',
    async (...args) => {
      const { code, err } = await understudy([...args, '--data', 'nothing-here']);
      expect(code).toBe(1);
      expect(err).toContain(`There is no cluster in ${join(directory, 'nothing-here')}.`);
      expect(readdirSync(directory)).not.toContain('nothing-here');
    },
  );

  it('touches nothing that is not ours', async () => {
    const foreign = join(directory, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'precious'), 'x');
    for (const args of [
      ['up', '--detach'],
      ['destroy', '--yes'],
    ]) {
      const { code, err } = await understudy([...args, '--data', foreign]);
      expect([code, err]).toEqual([1, expect.stringContaining('is not empty and holds no Understudy cluster')]);
    }
    expect(readdirSync(foreign)).toEqual(['precious']);
  });

  it('exits with 4 when nobody answers', async () => {
    const { code, err } = await understudy(['status', '--url', 'http://127.0.0.1:2', '--json']);
    expect(code).toBe(4);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'api-unreachable' } });
  });
});

describe('with a cluster elsewhere', () => {
  const cluster = new RecordedCluster();
  let server: ApiServer;
  let url = '';

  beforeAll(async () => {
    server = await serveApi(createApi(cluster, { host: '127.0.0.1', dashboardDirectory: null, version: '0' }), {
      host: '127.0.0.1',
      port: 0,
    });
    url = `http://127.0.0.1:${server.port}`;
  });
  afterAll(() => server.close());

  const withToken = (...args: string[]): Promise<Outcome> => understudy([...args, '--url', url], { UNDERSTUDY_TOKEN: 'right-token' });

  it.each([
    ['healthy', 0],
    ['degraded', 3],
    ['no-primary', 4],
  ] as const)('status of a %s cluster exits with %i', async (verdict, code) => {
    cluster.document = status({ verdict });
    const outcome = await understudy(['status', '--json'], { UNDERSTUDY_URL: url });
    expect(outcome.code).toBe(code);
    expect(JSON.parse(outcome.out)).toMatchObject({ schema: 1, verdict });
    expect(outcome.out).not.toContain('secret');
    cluster.document = status();
  });

  it('prints the URL for the token only', async () => {
    expect(JSON.parse((await withToken('url', '--json')).out)).toEqual({
      url: 'postgres://postgres:secret@127.0.0.1:5432/postgres?role=router',
    });
    expect((await understudy(['url', '--url', url])).err).toContain('The token is missing or wrong.');
  });

  it('passes operations on', async () => {
    expect(await withToken('switchover', '--to', 'n3')).toEqual({ code: 0, out: 'Done.\n', err: 'Switching over to n3…\n' });
    expect(cluster.asked.at(-1)?.request).toEqual({ kind: 'switchover', to: 'n3' });
    expect(JSON.parse((await withToken('replica', 'remove', 'n2', '--json')).out)).toMatchObject({ message: 'Done.' });
    expect(cluster.asked.at(-1)?.request).toEqual({ kind: 'remove-replica', id: 'n2' });
    await withToken('failover', '--accept-data-loss');
    expect(cluster.asked.at(-1)?.request).toEqual({ kind: 'failover', to: null, acceptDataLoss: true });
  });

  it('plans without doing', async () => {
    const before = cluster.asked.length;
    const plan = await withToken('switchover', '--dry-run');
    expect([plan.code, plan.out]).toEqual([0, expect.stringMatching(/^1\. The router holds/)]);
    const refused = await withToken('replica', 'remove', 'n1', '--dry-run');
    expect([refused.code, refused.err]).toEqual([6, expect.stringContaining('n1 is the primary.')]);
    expect(cluster.asked.length).toBe(before);
  });

  it.each([
    [['replica', 'add'], /^1\. A new member gets a name/],
    [['replica', 'remove', 'n3'], /^1\. n3 leaves the cohort/],
    [['failover'], /^1\. n1 is fenced/],
    [['pause'], /^1\. Clients are served/],
    [['resume'], /^1\. Nothing: the cluster is not paused\./],
    [['backup', 'create'], /^1\. All data of n1 \(127\.0\.0\.1:5432\) is copied/],
  ])('%j --dry-run says what would happen, and does nothing', async (args, text) => {
    const before = cluster.asked.length;
    const plan = await withToken(...args, '--dry-run');
    expect(plan).toEqual({ code: 0, out: expect.stringMatching(text), err: 'nothing was done (--dry-run)\n' });
    const json = JSON.parse((await withToken(...args, '--dry-run', '--json')).out) as { allowed: boolean; steps: string[] };
    expect([json.allowed, json.steps.join(' ')]).toEqual([true, expect.stringMatching(new RegExp(text.source.slice(5)))]);
    expect(cluster.asked.length).toBe(before);
  });

  it('a dry run of what would be refused is refused as the operation itself would be', async () => {
    cluster.document = status({ paused: true });
    for (const args of [['replica', 'add'], ['replica', 'remove', 'n3'], ['switchover'], ['failover']]) {
      const refused = await withToken(...args, '--dry-run');
      expect([args, refused.code, refused.err]).toEqual([args, 6, expect.stringContaining('The cluster is paused')]);
      const json = await withToken(...args, '--dry-run', '--json');
      expect([json.code, JSON.parse(json.out)]).toMatchObject([6, { allowed: false, steps: [], refusal: { code: 'cluster-paused' } }]);
    }
    cluster.document = status();
    cluster.newMembers = 'elsewhere';
    expect((await withToken('replica', 'add', '--dry-run')).code).not.toBe(0);
    cluster.newMembers = 'here';
  });

  it('shows events, as lines and as JSON', async () => {
    cluster.happen('cluster-created');
    cluster.happen('primary-elected', 'n2 leads.');
    const lines = (await withToken('events', '--limit', '1')).out;
    expect(lines).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}n1 {2}t1 +primary-elected +n2 leads\.\n$/);
    const json = (await withToken('events', '--json')).out.trimEnd().split('\n');
    expect(json.map(line => (JSON.parse(line) as { kind: string }).kind)).toEqual(['cluster-created', 'primary-elected']);
  });

  it('explains statements', async () => {
    expect(JSON.parse((await withToken('explain', 'select 1', '--json')).out)).toMatchObject({ demand: 'replica', servers: ['n2', 'n3'] });
    expect((await withToken('explain', 'insert into t values (1)')).out).toContain('goes to   the primary (now: n1)');
  });
});
