import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_FAILOVER, type EventDraft, type MemberReport } from '@understudy/core/cluster';
import { Agent } from '../../src/agent/agent.ts';
import { InstalledPrograms } from '../../src/agent/programs.ts';
import { PromiseFile } from '../../src/agent/promise-file.ts';
import { PromotionNote } from '../../src/agent/promotion-note.ts';
import { giveTo, PostgresServer } from '../../src/postgres/index.ts';
import { EmbeddedStore } from '../../src/store/embedded.ts';
import { initialState, newMember } from '../../src/supervisor/members.ts';
import { type Bench, CREDENTIALS, eventually, openBench } from './postgres-fixture.ts';

let bench: Bench;

beforeAll(async () => {
  bench = await openBench('embedded');
});

afterAll(async () => {
  await bench.close();
});

test('a running primary that is asked for a newer term is fenced once, and its agent goes on', async () => {
  const { spec } = await bench.member('n1');
  const directory = join(bench.directory, 'n1');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await giveTo(bench.account, directory);
  const durability = { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 } as const;
  const members = [newMember('n1', '127.0.0.1', spec.settings.port)];
  const store = EmbeddedStore.create(join(bench.directory, 'state.json'), initialState('main', members, durability));
  const events: EventDraft[] = [];
  let report: MemberReport | null = null;
  store.watch({
    state: () => undefined,
    report: heard => {
      report = heard;
    },
  });
  const server: PostgresServer = new PostgresServer(spec, () => agent.noteExit('killed'));
  const agent = new Agent(
    {
      member: 'n1',
      host: '127.0.0.1',
      port: spec.settings.port,
      directory,
      provider: { kind: 'embedded' },
      binaryCopies: '/var/lib/understudy/bin',
      credentials: CREDENTIALS,
      failover: DEFAULT_FAILOVER,
      postgres: {},
      applyDelayMs: 0,
      tls: null,
    },
    {
      store,
      server,
      programs: new InstalledPrograms(
        spec.provider,
        async () => spec.provider,
        ({ postgres }) => postgres,
      ),
      promises: new PromiseFile(directory),
      note: new PromotionNote(directory),
      onEvent: event => events.push(event),
      onLeft: () => undefined,
      onReleased: () => undefined,
    },
  );
  const running = agent.run();
  const isOpen = (term: number) => eventually(async () => report?.openTerm === term, `a primary open in term ${term}`);
  try {
    await isOpen(1);
    const { revision, state } = store.current;
    const proposal = { term: 2, by: 'n1', trigger: 'operator', atMs: Date.now(), noticedMs: 0 } as const;
    expect((await store.change(revision, { ...state, proposal })).kind).toBe('done');
    await isOpen(2);
  } finally {
    await agent.stop(10_000);
    await running;
  }
  expect(events.filter(event => event.kind === 'server-fenced')).toHaveLength(1);
  expect(server.pid).toBeNull();
});
