import { describe, expect, it } from 'vitest';
import {
  EVENTUAL,
  newRouterCausality,
  newSessionCausality,
  noteCommit,
  noteCommitElsewhere,
  noteFloor,
  notePrimaryRead,
  noteReplicaRead,
  noteToken,
  probeSent,
  requirement,
  SESSION,
  STRONG,
} from '../../src/routing/index.ts';
import { askPrimary, replicaAt, report, routerAt, topology, viewOf } from './fixtures.ts';

const NOW = 1000;
const ALONE = topology([]);

describe('what a read needs', () => {
  it('is nothing at eventual and bounded, whatever happened', () => {
    const causality = newRouterCausality();
    const session = newSessionCausality();
    noteCommit(causality, session);
    const view = viewOf([], { causality });
    for (const level of [EVENTUAL, { kind: 'bounded', maxLagMs: 5 }] as const) {
      expect(requirement(level, session, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 0n } });
    }
  });

  it('waits for the first answer at strong: what the router acknowledged before it was started again counts too', () => {
    const causality = newRouterCausality();
    const view = viewOf([], { causality });
    expect(requirement(STRONG, newSessionCausality(), view, NOW)).toEqual({ kind: 'pending', mark: 1 });
    expect(requirement(SESSION, newSessionCausality(), view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 0n } });
    askPrimary(causality, 50n, ALONE);
    expect(requirement(STRONG, newSessionCausality(), view, NOW)).toMatchObject({ kind: 'floor', floor: { timeline: 1, lsn: 50n } });
  });

  it('is covered only by a question sent after the commit, not by one that was under way', () => {
    const causality = routerAt(10n, ALONE);
    const [writer, reader] = [newSessionCausality(), newSessionCausality()];
    const view = viewOf([], { causality });
    const underWay = probeSent(causality.probes);
    noteCommit(causality, writer);
    noteFloor(causality, underWay, { timeline: 1, lsn: 90n }, ALONE);
    expect(requirement(STRONG, reader, view, NOW)).toEqual({ kind: 'pending', mark: underWay + 1 });
    expect(requirement(SESSION, writer, view, NOW)).toEqual({ kind: 'pending', mark: underWay + 1 });
    expect(requirement(SESSION, reader, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 0n } });
    askPrimary(causality, 100n, ALONE);
    expect(requirement(STRONG, reader, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 100n } });
    expect(requirement(SESSION, writer, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 100n } });
    expect(requirement(SESSION, reader, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 0n } });
  });

  it('is not served by an answer that came late and out of order', () => {
    const causality = routerAt(10n, ALONE);
    const [lost, next] = [probeSent(causality.probes), probeSent(causality.probes)];
    noteFloor(causality, next, { timeline: 1, lsn: 50n }, ALONE);
    noteFloor(causality, lost, { timeline: 1, lsn: 40n }, ALONE);
    expect(causality.floor.lsn).toBe(50n);
    expect(causality.probes.answered).toBe(next);
  });

  it('does not wait for ever when a question is lost with its connection', () => {
    const causality = routerAt(10n, ALONE);
    const session = newSessionCausality();
    noteCommit(causality, session);
    probeSent(causality.probes);
    const again = probeSent(causality.probes);
    noteFloor(causality, again, { timeline: 1, lsn: 60n }, ALONE);
    expect(requirement(STRONG, session, viewOf([], { causality }), NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 60n } });
  });

  it('includes commits of other workers from the moment that they are told', () => {
    const causality = routerAt(10n, ALONE);
    noteCommitElsewhere(causality);
    expect(requirement(STRONG, newSessionCausality(), viewOf([], { causality }), NOW).kind).toBe('pending');
  });

  it('is raised by a token, never lowered', () => {
    const session = newSessionCausality();
    const view = viewOf([], { causality: routerAt(0n, ALONE) });
    noteToken(session, { timeline: 1, lsn: 70n }, ALONE);
    noteToken(session, { timeline: 1, lsn: 30n }, ALONE);
    expect(requirement(SESSION, session, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 70n } });
  });

  it('after a read on the primary is what the primary had, for this session alone', () => {
    const causality = routerAt(10n, ALONE);
    const [reader, other] = [newSessionCausality(), newSessionCausality()];
    notePrimaryRead(causality, reader);
    const view = viewOf([], { causality });
    expect(requirement(STRONG, other, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 10n } });
    expect(requirement(SESSION, reader, view, NOW).kind).toBe('pending');
    askPrimary(causality, 40n, ALONE);
    expect(requirement(SESSION, reader, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 40n } });
  });
});

describe('time never runs backwards for a session', () => {
  it('stays with its replica until that one has told how far it was', () => {
    const [ahead, behind] = [replicaAt('n2', 50n, NOW), replicaAt('n3', 50n, NOW)];
    const view = viewOf([ahead, behind]);
    const session = newSessionCausality();
    noteReplicaRead(ahead, session);
    expect(requirement(SESSION, session, view, NOW)).toMatchObject({ kind: 'floor', onlyReplica: 'n2' });
    report(behind, 80n, NOW);
    expect(requirement(SESSION, session, view, NOW)).toMatchObject({ onlyReplica: 'n2' });
    report(ahead, 90n, NOW);
    expect(requirement(SESSION, session, view, NOW)).toMatchObject({ kind: 'floor', floor: { lsn: 90n }, onlyReplica: null });
  });

  it('does not take the answer to an older question for one', () => {
    const replica = replicaAt('n2', 50n, NOW);
    const session = newSessionCausality();
    const underWay = probeSent(replica.probes);
    noteReplicaRead(replica, session);
    expect(session.replicaMark).toBe(underWay + 1);
  });

  it('asks the primary when its replica is gone or silent', () => {
    for (const gone of ['left', 'silent']) {
      const replica = replicaAt('n2', 50n, NOW);
      const causality = routerAt(10n, ALONE);
      const view = viewOf(gone === 'left' ? [] : [replica], { causality });
      const session = newSessionCausality();
      noteReplicaRead(replica, session);
      const later = NOW + view.policy.balance.maxSilenceMs + 1;
      expect(requirement(SESSION, session, view, later)).toEqual({ kind: 'pending', mark: 2 });
      askPrimary(causality, 99n, ALONE);
      expect(requirement(SESSION, session, view, later)).toMatchObject({ kind: 'floor', floor: { lsn: 99n }, onlyReplica: null });
    }
  });
});
