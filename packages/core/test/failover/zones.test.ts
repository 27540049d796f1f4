import { describe, expect, it } from 'vitest';
import type { ClusterState, Durability, PrimaryServer } from '../../src/cluster/index.ts';
import { countedByZone, decide, synchronousNames } from '../../src/failover/index.ts';
import { healthy, NOW, primary, replica, report, RULE, spec, streaming, type ViewParts, viewOf } from './view-builder.ts';

const durability: Durability = { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'other-zones', maxLossBytes: 0 };
const members = { n1: spec('n1', { zone: 'east' }), n2: spec('n2', { zone: 'east' }), n3: spec('n3', { zone: 'west' }) };
const ACROSS = { ...RULE, cohort: ['n3'] };

const actions = (parts: ViewParts) =>
  decide(viewOf({ ...parts, state: { members, durability, ...parts.state } }), NOW).map(({ action }) => action);
const namesOf = (cohort: readonly string[]): Partial<PrimaryServer> => ({ synchronousNames: synchronousNames({ cohort, acks: 1 }, 7) });
const asPrimary = (state: Partial<ClusterState>, server: Partial<PrimaryServer>, local: ViewParts['local'] = {}) =>
  actions({ self: 'n1', state, reports: healthy({ n1: primary(server) }), local });

describe('acknowledgements from other zones', () => {
  const counted = (change: Partial<Durability>, ids: readonly string[], home = 'n1') =>
    countedByZone({ members: { ...members, n4: spec('n4') }, durability: { ...durability, ...change } }, home, ids);

  it('are those of replicas that stand elsewhere, while there are any', () => {
    expect(counted({}, ['n2', 'n3', 'n4'])).toEqual(['n3']);
    expect(counted({}, ['n2', 'n4'])).toEqual(['n2', 'n4']);
    expect(counted({}, ['n2', 'n3'], 'n4')).toEqual(['n2', 'n3']);
    expect(counted({ acksFrom: 'any-zone' }, ['n2', 'n3'])).toEqual(['n2', 'n3']);
  });

  it('shrink the cohort in the safe order: PostgreSQL first', () => {
    expect(asPrimary({}, {})).toEqual([{ kind: 'set-synchronous-names', synchronousNames: 'ANY 1 (n3_t7)' }]);
    const names = namesOf(['n3']);
    const local = { namesInForceSince: { names: names.synchronousNames!, lsn: 1000n } };
    expect(asPrimary({}, names, local)).toMatchObject([{ kind: 'change-store', next: { rule: { cohort: ['n3'], acks: 1 } } }]);
    expect(asPrimary({ rule: ACROSS }, names)).toEqual([]);
  });

  it('come from the own zone when nobody elsewhere is left; with whenAlone block they are waited for', () => {
    const senders = primary().senders.filter(({ applicationName }) => applicationName === 'n2_t7');
    const away = { streamedAtMs: { n2: NOW, n3: NOW - 6000 } };
    expect(asPrimary({ rule: ACROSS }, { ...namesOf(['n3']), senders }, away)).toMatchObject([
      { kind: 'change-store', next: { rule: { cohort: ['n2', 'n3'], acks: 1 } } },
    ]);
    const block = { rule: ACROSS, durability: { ...durability, whenAlone: 'block' } } as const;
    expect(asPrimary(block, { ...namesOf(['n3']), senders }, away)).toEqual([{ kind: 'alarm', code: 'writes-blocked' }]);
  });

  it('are what a new term begins with', () => {
    const proposal = { term: 8, by: 'n2', trigger: 'primary-lost', atMs: 0, noticedMs: 0 } as const;
    const all = { ...members, n4: spec('n4', { zone: 'west' }), n5: spec('n5', { zone: 'east' }) };
    const recruits = ['n2', 'n3', 'n4', 'n5'].map(id => report(id, replica(), { promisedTerm: 8 }));
    const reports = [report('n1', primary()), ...recruits];
    const state = { rule: { ...ACROSS, cohort: ['n3', 'n4'] }, members: all, proposal };
    expect(actions({ self: 'n2', state, reports, silentMs: { n1: 5000 } })).toMatchObject([
      { kind: 'change-store', next: { rule: { term: 8, primary: 'n2', cohort: ['n3', 'n4'], acks: 1 } } },
    ]);
  });

  it('do not keep a replica of the own zone from a switchover', () => {
    const intent = { kind: 'switchover', id: 'w', to: 'n2', fromTerm: 7, atMs: 0 } as const;
    const local = { routersDrained: true };
    const server = namesOf(['n3']);
    expect(asPrimary({ rule: ACROSS, intent }, server, local)).toMatchObject([{ kind: 'shutdown' }]);
    const state = { rule: { ...RULE, cohort: ['n2'] }, intent: { ...intent, to: 'n3' } };
    expect(asPrimary(state, namesOf(['n2']), local)).toMatchObject([{ kind: 'change-store', next: { intent: null } }]);
  });

  it('leave a replica of the own zone to follow as ever', () => {
    expect(actions({ self: 'n2', state: { rule: ACROSS }, reports: healthy({ n2: streaming('n2') }) })).toEqual([]);
  });
});
