import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ClusterState, Rule } from '@understudy/core/cluster';
import { parseSettings } from '@understudy/core/schemas';
import { EmbeddedStore } from '../../src/store/embedded.ts';
import { EventLog } from '../../src/supervisor/event-log.ts';
import { Operator } from '../../src/supervisor/operator.ts';
import { testDirectory, threeMembers, until } from '../store/fixture.ts';
import { member, status } from '../support/status.ts';

const RULE: Rule = { term: 1, primary: 'n1', cohort: ['n2', 'n3'], acks: 1, timeline: 1, established: true, before: [] };
const SWITCHOVER = { kind: 'switchover', to: 'n2' } as const;

function settingsOf(input: Record<string, unknown>) {
  const parsed = parseSettings(input);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return parsed.settings;
}

function operator(change: Partial<ClusterState> = {}, host = '127.0.0.1') {
  const directory = testDirectory();
  const store = EmbeddedStore.create(join(directory, 'state.json'), { ...threeMembers(), rule: RULE, ...change });
  const events = new EventLog(join(directory, 'events.jsonl'));
  const secrets = { superuser: 'p/w', superuserRole: 'postgres', replication: 'r', router: 'x', token: 't' };
  const made = new Operator({
    store,
    events,
    secrets,
    major: 18,
    machineTls: null,
    settings: settingsOf({ host, memberPort: 30_000 + Math.floor(Math.random() * 20_000) }),
    router: () => ({ host, port: 5432 }),
    newMembers: { where: 'here', takenPorts: () => [] },
    // Nobody listens on port 1.
    status: () =>
      status({
        members: [member('n1', { role: 'primary', port: 1 })],
        term: store.current.state.rule?.term ?? 0,
        primary: store.current.state.rule?.primary ?? null,
      }),
    heard: () => new Map(),
    topology: () => ({ term: 0, primary: { kind: 'absent', reason: 'not asked' }, replicas: [], history: [] }),
    stop: () => undefined,
    watchStatements: () => () => undefined,
  });
  return { operator: made, store, events };
}

type Made = ReturnType<typeof operator>;

/** What an agent does: takes the wish off the list, then tells of it. */
async function settle(
  { store, events }: Made,
  next: (state: ClusterState) => ClusterState,
  reason: string,
  tellAfterMs: number,
): Promise<void> {
  await until(() => store.current.state.intent !== null, 'the wish');
  const { revision, state } = store.current;
  const after = { ...next(state), intent: null };
  await store.change(revision, after);
  await new Promise(resolve => setTimeout(resolve, tellAfterMs));
  events.appendChange(state, after, reason);
}

describe('a change of the primary', () => {
  test('answers with who leads', async () => {
    const made = operator();
    const wish = made.operator.perform(SWITCHOVER, 10_000);
    await settle(made, state => ({ ...state, rule: { ...RULE, term: 2, primary: 'n2', cohort: ['n3'] } }), 'Elected.', 0);
    expect(await wish).toEqual({ message: 'n2 is the primary of term 2.', member: 'n2', term: 2 });
  });

  test('that is refused is never taken for done, though the reason comes after the refusal', async () => {
    const made = operator();
    const wish = made.operator.perform(SWITCHOVER, 10_000);
    const refused = expect(wish).rejects.toMatchObject({ code: 'intent-refused', message: 'n2 is too far behind.' });
    await settle(made, state => state, 'n2 is too far behind.', 100);
    await refused;
  });

  test('that is done is not waited for when its agent died before it told', async () => {
    const made = operator();
    const wish = made.operator.perform(SWITCHOVER, 10_000);
    await until(() => made.store.current.state.intent !== null, 'the wish');
    const { revision, state } = made.store.current;
    await made.store.change(revision, { ...state, intent: null, rule: { ...RULE, term: 2, primary: 'n2', cohort: ['n3'] } });
    expect(await wish).toMatchObject({ member: 'n2' });
  });

  test('that nobody takes up is withdrawn when its time is over', async () => {
    const made = operator();
    await expect(made.operator.perform(SWITCHOVER, 30)).rejects.toMatchObject({ code: 'timed-out' });
    expect(made.store.current.state.intent).toBeNull();
    expect(made.events.after(0, 10).map(({ kind }) => kind)).toEqual(['switchover-requested', 'intent-refused']);
  });

  test('that has begun when its time is over is left to end', async () => {
    const made = operator();
    const wish = made.operator.perform(SWITCHOVER, 300);
    const late = expect(wish).rejects.toMatchObject({ code: 'timed-out' });
    await until(() => made.store.current.state.intent !== null, 'the wish');
    const { revision, state } = made.store.current;
    const proposal = { term: 2, by: 'n1', trigger: 'switchover', atMs: 0, noticedMs: 0 } as const;
    await made.store.change(revision, { ...state, proposal });
    await late;
    expect(made.store.current.state.intent).not.toBeNull();
  });

  test.each<[string, Partial<ClusterState>, string, string]>([
    ['while the cluster is created', { rule: null }, 'n2', 'no-primary'],
    ['under a pause', { paused: { atMs: 1 } }, 'n2', 'cluster-paused'],
    ['while another is under way', { intent: { kind: 'switchover', id: 'w', to: null, fromTerm: 1, atMs: 0 } }, 'n2', 'intent-pending'],
    ['to a stranger', {}, 'n9', 'unknown-member'],
    ['to the primary itself', {}, 'n1', 'intent-refused'],
  ])('%s is refused at once and changes nothing', async (_when, change, to, code) => {
    const made = operator(change);
    await expect(made.operator.perform({ kind: 'switchover', to }, 10_000)).rejects.toMatchObject({ code });
    expect(made.store.current.revision).toBe(1);
  });
});

describe('members', () => {
  test('that join at once get names and ports of their own', async () => {
    const made = operator();
    const late = Promise.allSettled([1, 2, 3].map(() => made.operator.perform({ kind: 'add-replica' }, 0)));
    await late;
    const members = Object.values(made.store.current.state.members);
    expect(members.map(({ id }) => id)).toEqual(['n1', 'n2', 'n3', 'n4', 'n5', 'n6']);
    expect(new Set(members.map(({ port }) => port)).size).toBe(6);
  });

  test.each([
    ['add-replica', { kind: 'add-replica' }],
    ['remove-replica', { kind: 'remove-replica', id: 'n3' }],
  ] as const)('do not change under a pause: %s', async (_what, request) => {
    const made = operator({ paused: { atMs: 1 } });
    await expect(made.operator.perform(request, 0)).rejects.toMatchObject({ code: 'cluster-paused' });
    expect(made.store.current.revision).toBe(1);
  });

  test('the primary is not removed', async () => {
    await expect(operator().operator.perform({ kind: 'remove-replica', id: 'n1' }, 0)).rejects.toMatchObject({ code: 'remove-primary' });
  });

  test('one that leaves is marked, and gone when the rule-keepers have taken it off the list', async () => {
    const made = operator();
    const removal = made.operator.perform({ kind: 'remove-replica', id: 'n3' }, 10_000);
    await until(() => made.store.current.state.members['n3']?.lifecycle === 'leaving', 'the mark');
    const { revision, state } = made.store.current;
    const { n3: _gone, ...members } = state.members;
    await made.store.change(revision, { ...state, members });
    expect(await removal).toMatchObject({ member: 'n3' });
  });
});

test('pause and resume may be said twice', async () => {
  const made = operator();
  for (const kind of ['pause', 'pause', 'resume', 'resume'] as const) await made.operator.perform({ kind }, 0);
  expect(made.store.current.state.paused).toBeNull();
  expect(made.events.after(0, 10).map(({ kind }) => kind)).toEqual(['paused', 'resumed']);
});

test('addresses fit into a URL', () => {
  expect(operator({}, '::1').operator.url('router')).toBe('postgres://postgres:p%2Fw@[::1]:5432/postgres');
  expect(operator().operator.url('primary')).toBe('postgres://postgres:p%2Fw@127.0.0.1:1/postgres');
});
