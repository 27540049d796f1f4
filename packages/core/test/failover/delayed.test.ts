import { describe, expect, it } from 'vitest';
import type { MemberReport } from '../../src/cluster/index.ts';
import { type Action, decide, isHoldingBack } from '../../src/failover/index.ts';
import { HISTORY, healthy, NOW, primary, replica, report, RULE, spec, streaming, type ViewParts, viewOf } from './view-builder.ts';

const actions = (parts: ViewParts): readonly Action[] => decide(viewOf(parts), NOW).map(({ action }) => action);

const delayed = spec('n4', { applyDelayMs: 3_600_000 });
const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3'), n4: delayed };
/** It has received more than it shows, and cannot tell where that ends. */
const behind = { replayLsn: 500n, walEnd: null };
const four = (n4: MemberReport, servers: Parameters<typeof healthy>[0] = {}): readonly MemberReport[] => [...healthy(servers), n4];

describe('a delayed replica', () => {
  it('never joins the cohort, however close it is', () => {
    const sender = { ...primary().senders[0]!, applicationName: 'n4_t7' };
    const leader = primary({ senders: [...primary().senders, sender] });
    expect(actions({ self: 'n1', state: { members }, reports: four(report('n4', streaming('n4')), { n1: leader }) })).toEqual([]);
  });

  it('that has joined before it was made one is taken out', () => {
    const state = { members: { ...members, n3: spec('n3', { applyDelayMs: 1 }) } };
    expect(actions({ self: 'n1', state, reports: four(report('n4', streaming('n4'))) })).toEqual([
      { kind: 'set-synchronous-names', synchronousNames: 'ANY 1 (n2_t7)' },
    ]);
  });

  it('follows the primary before it knows where its WAL ends, which may take as long as its delay', () => {
    const parts = { self: 'n4', state: { members }, reports: four(report('n4', replica(behind))) };
    expect(actions(parts)).toMatchObject([{ kind: 'follow', from: 'n1', applicationName: 'n4_t7' }]);
    const undelayed = { ...parts, state: { members: { ...members, n4: spec('n4') } } };
    expect(actions(undelayed)).toEqual([]);
  });

  it('is not cloned anew for not streaming while it still has WAL to apply', () => {
    const n4 = (change: Parameters<typeof replica>[0]) => report('n4', replica({ followsAs: 'n4_t7', ...change }));
    const starved = (change: Parameters<typeof replica>[0]) =>
      actions({ self: 'n4', state: { members }, reports: four(n4(change)), local: { streamedAtMs: { n4: 0 } } }).map(({ kind }) => kind);
    expect(starved(behind)).toEqual([]);
    expect(starved({ replayLsn: 500n })).toEqual([]);
    expect(starved({})).toEqual(['clone']);
  });

  it('holds up no election', () => {
    const state = { members, proposal: { term: 8, by: 'n2', trigger: 'primary-exited', atMs: 0, noticedMs: 0 } } as const;
    const recruit = (id: string) => report(id, replica(), { promisedTerm: 8 });
    const waiting = report('n4', replica(behind), { promisedTerm: 8 });
    const reports = [report('n1', primary()), recruit('n2'), recruit('n3'), waiting];
    const local = { seen: { proposalAtMs: NOW - 10, ruleAtMs: 0, intentAtMs: 0, leadingAtMs: 0 } };
    expect(actions({ self: 'n2', state, reports, local, silentMs: { n1: 5000 } })).toMatchObject([
      { kind: 'change-store', next: { rule: { term: 8, primary: 'n2', cohort: ['n3'] } } },
    ]);
  });

  it('is never promoted: a switchover to it is refused', () => {
    const intent = { kind: 'switchover', id: 'w', to: 'n4', fromTerm: 7, atMs: 0 } as const;
    expect(actions({ self: 'n1', state: { members, intent }, reports: four(report('n4', streaming('n4'))) })).toMatchObject([
      { kind: 'change-store', next: { intent: null, rule: RULE } },
    ]);
  });
});

describe('holding back', () => {
  it('is what a delayed replica does while there is WAL to apply and none is asked for', () => {
    expect(isHoldingBack(delayed, replica(behind))).toBe(true);
    expect(isHoldingBack(delayed, replica({ replayLsn: 999n, walEnd: { timeline: 4, lsn: 1000n, history: HISTORY } }))).toBe(true);
    expect(isHoldingBack(delayed, replica())).toBe(false);
    expect(isHoldingBack(delayed, streaming('n4', behind))).toBe(false);
    expect(isHoldingBack(spec('n4'), replica(behind))).toBe(false);
  });
});
