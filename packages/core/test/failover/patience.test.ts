import { describe, expect, it } from 'vitest';
import type { ServerReport } from '../../src/cluster/index.ts';
import { decide } from '../../src/failover/index.ts';
import { NOW, primary, RULE, replica, report, stateOf, streaming, viewOf, type ViewParts } from './view-builder.ts';

const CRASHED: ServerReport = { kind: 'stopped', cleanShutdown: false, crashed: true, timeline: 4, checkpointLsn: 900n };
const ELECTION = stateOf({ proposal: { term: 8, by: 'n1', trigger: 'primary-exited', atMs: 0, noticedMs: 0 } });

function kinds(parts: ViewParts, nowMs = NOW): readonly string[] {
  return decide(viewOf(parts), nowMs).map(({ action }) => action.kind);
}

/** Sees the proposal, or the rule, since so long. */
function seen(agoMs: number): ViewParts['local'] {
  return { promisedTerm: 8, seen: { proposalAtMs: NOW - agoMs, ruleAtMs: NOW - agoMs, intentAtMs: 0, leadingAtMs: 0 } };
}

describe('a crashed primary keeps out of the way of its successor', () => {
  const crashed = report('n1', CRASHED, { promisedTerm: 8 });
  const answering = [report('n2', streaming('n2')), report('n3', streaming('n3'))];

  it('does not start for an election that the others can end', () => {
    expect(kinds({ self: 'n1', reports: [crashed, ...answering], state: ELECTION, local: seen(100) })).toEqual([]);
  });

  it('starts after all when that election does not end', () => {
    expect(kinds({ self: 'n1', reports: [crashed, ...answering], state: ELECTION, local: seen(1600) })).toEqual(['start-isolated']);
  });

  it('starts at once when the others do not suffice without it', () => {
    const reports = [crashed, answering[0]!];
    expect(kinds({ self: 'n1', reports, state: ELECTION, local: seen(100) })).toEqual(['start-isolated']);
  });

  const opening = stateOf({
    proposal: ELECTION.proposal,
    rule: { ...RULE, term: 8, primary: 'n2', cohort: ['n3'], timeline: 5, established: false, before: [RULE] },
  });
  const elected = report('n2', replica(), { promisedTerm: 8 });

  it('does not start while the new primary opens, unless it is waited for', () => {
    const parts: ViewParts = { self: 'n1', reports: [crashed, elected], state: opening, local: seen(100) };
    expect(kinds(parts)).toEqual([]);
    expect(kinds({ ...parts, local: seen(1600) })).toEqual(['start-isolated']);
    const waitedFor = { ...opening, rule: { ...opening.rule!, cohort: ['n1', 'n3'] } };
    expect(kinds({ ...parts, state: waitedFor })).toEqual(['start-isolated']);
  });
});

describe('a term that cannot be established', () => {
  const before = (terms: number) => Array.from({ length: terms }, (_, i) => ({ ...RULE, term: 7 + i }));
  const rule = (terms: number) => ({
    ...RULE,
    term: 8,
    primary: 'n2',
    cohort: ['n3'],
    timeline: 5,
    established: false,
    before: before(terms),
  });
  const leads = report('n2', primary({ timeline: 5, flushLsn: 1100n, synchronousNames: 'ANY 1 (n3_t8)', senders: [] }), {
    promisedTerm: 8,
  });
  const after = (ms: number, n1: ServerReport, terms = 1): readonly string[] =>
    kinds({
      self: 'n2',
      reports: [report('n1', n1, { promisedTerm: 8 }), leads, report('n3', replica(), { promisedTerm: 8 })],
      state: stateOf({ rule: rule(terms) }),
      local: { ...seen(ms), open: { term: 8, barrierLsn: 1100n, confirmed: false, atWallMs: 0 } },
    });

  it('gives way to the next one soon when a replica outside of its cohort could help', () => {
    expect([after(5900, replica()), after(6000, replica(), 4)]).toEqual([[], ['change-store']]);
  });

  it('gives a member that copies the time to do so, more with each term that was not established', () => {
    expect([after(6000, CRASHED, 1), after(6000, CRASHED, 2), after(12_000, CRASHED, 2), after(95_000, CRASHED, 9)]).toEqual([
      ['change-store'],
      [],
      ['change-store'],
      [],
    ]);
    expect(after(96_000, CRASHED, 9)).toEqual(['change-store']);
  });

  it('keeps its primary, which only lacked acknowledgements, if that answers in time', () => {
    const proposal = { term: 9, by: 'n2', trigger: 'election-stalled', atMs: 0, noticedMs: 0 } as const;
    const behind = [report('n1', replica(), { promisedTerm: 9 }), report('n3', replica(), { promisedTerm: 9 })];
    const electing = (n2: ServerReport, ms: number): string | undefined => {
      const reports = [...behind, report('n2', n2, { promisedTerm: 9 })];
      const state = stateOf({ proposal, rule: rule(1) });
      const [decision] = decide(viewOf({ self: 'n1', reports, state, local: { ...seen(ms), promisedTerm: 9 } }), NOW);
      return decision?.action.kind === 'change-store' ? decision.action.next.rule?.primary : undefined;
    };
    const answered = replica({ timeline: 5, walEnd: { timeline: 5, lsn: 1200n, history: [{ timeline: 4, endLsn: 1000n }] } });
    expect(electing(CRASHED, 2900)).toBeUndefined();
    expect(electing(answered, 2900)).toBe('n2');
    expect(electing(CRASHED, 3100)).toBe('n1');
  });
});
