import { describe, expect, it } from 'vitest';
import type { ServerReport } from '../../src/cluster/index.ts';
import { decide } from '../../src/failover/index.ts';
import { NOW, RULE, replica, report, stateOf, streaming, viewOf, type ViewParts } from './view-builder.ts';

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
