import { describe, expect, it } from 'vitest';
import type { ClusterState, MemberReport } from '../../src/cluster/index.ts';
import { followersMoved, nextMoveStep } from '../../src/failover/index.ts';
import { healthy, primary, report, RULE, spec, stateOf, streaming } from './view-builder.ts';

const MOVE = { from: 'n1', to: 'n3' };
const heard = (...reports: readonly MemberReport[]) => new Map([...healthy(), ...reports].map(each => [each.id, each]));
const step = (move: typeof MOVE, state: Partial<ClusterState> = {}, reports = heard()) => nextMoveStep(stateOf(state), reports, move);

describe('what a move does next', () => {
  it('waits for the new member to join, to copy, and to count', () => {
    expect(step({ from: 'n2', to: 'n4' })).toMatchObject({ kind: 'wait', why: expect.stringMatching(/^n4 has not joined yet/) });
    const members = { ...stateOf().members, n4: spec('n4') };
    expect(step({ from: 'n2', to: 'n4' }, { members })).toEqual({ kind: 'wait', why: 'n4 is not heard of' });
    expect(step({ from: 'n2', to: 'n4' }, { members }, heard(report('n4', { kind: 'absent' })))).toEqual({
      kind: 'wait',
      why: 'n4 is absent',
    });
    expect(step({ from: 'n2', to: 'n4' }, { members }, heard(report('n4', streaming('n4'))))).toMatchObject({
      kind: 'wait',
      why: 'n4 is not in the cohort yet',
    });
  });

  it('hands over where the old member leads, then removes it, and is done when it has left', () => {
    expect(step(MOVE)).toEqual({ kind: 'switchover', from: 'n1', to: 'n3' });
    const rule = { ...RULE, primary: 'n3', cohort: ['n1', 'n2'] };
    const handed = heard(report('n3', primary(), { openTerm: 7 }), report('n1', streaming('n1')));
    expect(step(MOVE, { rule }, handed)).toEqual({ kind: 'remove', member: 'n1' });
    const leaving = { ...stateOf().members, n1: spec('n1', { lifecycle: 'leaving' }) };
    expect(step(MOVE, { rule, members: leaving }, handed)).toEqual({ kind: 'wait', why: 'n1 is leaving' });
    const { n1: _, ...left } = stateOf().members;
    expect(step(MOVE, { rule, members: left }, handed)).toEqual({ kind: 'done' });
  });

  it('G2: is refused where too few replicas would be left', () => {
    expect(step({ from: 'n2', to: 'n3' }, { rule: { ...RULE, acks: 2 } })).toMatchObject({ kind: 'refused' });
    expect(step({ from: 'n2', to: 'n3' })).toEqual({ kind: 'remove', member: 'n2' });
  });

  it('waits for those who come back a moment after the change of the primary', () => {
    const rule = { ...RULE, primary: 'n3', cohort: [], acks: 0 };
    const handed = heard(report('n3', primary(), { openTerm: 7 }), report('n1', streaming('n1')), report('n2', streaming('n2')));
    expect(step(MOVE, { rule }, handed)).toEqual({ kind: 'wait', why: 'n2 is not in the cohort yet' });
  });

  it('is refused where the new member may not lead and would have to', () => {
    const members = { ...stateOf().members, n3: spec('n3', { nofailover: true }) };
    expect(step(MOVE, { members })).toMatchObject({ kind: 'refused' });
  });
});

describe('who streamed from a member that moves', () => {
  it('streams from the one that takes its place, which streams from whom that did', () => {
    const members = {
      n2: spec('n2', { follows: 'n1' }),
      n3: spec('n3', { follows: 'n2' }),
      n4: spec('n4', { follows: 'n2' }),
      n5: spec('n5', { follows: 'n3' }),
    };
    const follows = Object.values(followersMoved(members, { from: 'n2', to: 'n4' })).map(each => [each.id, each.follows]);
    expect(follows).toEqual([
      ['n2', 'n1'],
      ['n3', 'n4'],
      ['n4', 'n1'],
      ['n5', 'n3'],
    ]);
  });
});
