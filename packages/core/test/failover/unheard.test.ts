import { describe, expect, it } from 'vitest';
import type { MemberReport, ServerReport, Sight } from '../../src/cluster/index.ts';
import { type Attempts, decide, hear, lookoutFor, noteAttempt, sightOf } from '../../src/failover/index.ts';
import { NOW, primary, replica, report, RULE, spec, streaming, stateOf, type ViewParts, viewOf } from './view-builder.ts';

const CUT: Sight = { silentMs: 1800, reached: ['n2', 'n3'], lost: ['n1'] };

/** A replica that still asks for WAL under its name, and gets none. */
const deaf = (id: string, sight: Partial<Sight> = {}, server: ServerReport = replica({ followsAs: `${id}_t7` })): MemberReport =>
  report(id, server, { sight: { ...CUT, reached: CUT.reached.filter(each => each !== id), ...sight } });

const cluster = (n2: MemberReport, n3: MemberReport, n1: MemberReport = report('n1', primary({ senders: [] }), { openTerm: 7 })) => [
  n1,
  n2,
  n3,
];

const triggers = (parts: Partial<ViewParts>): readonly string[] =>
  decide(viewOf({ self: 'n2', reports: cluster(deaf('n2'), deaf('n3')), ...parts }), NOW).flatMap(({ action }) =>
    action.kind === 'change-store' && action.next.proposal !== null && action.next.proposal.term > 7 ? [action.next.proposal.trigger] : [],
  );

describe('a primary that its replicas do not hear', () => {
  it('is replaced when they have lost it and reach each other', () => {
    expect(triggers({})).toEqual(['primary-unheard']);
    expect(triggers({ self: 'n3' })).toEqual([]);
  });

  it('is not while one of them hears it, or may', () => {
    expect(
      triggers({ reports: cluster(deaf('n2'), report('n3', streaming('n3'), { sight: { ...CUT, silentMs: 20, lost: [] } })) }),
    ).toEqual([]);
    expect(triggers({ reports: cluster(deaf('n2'), report('n3', { kind: 'starting', sinceMs: 100 })) })).toEqual([]);
    expect(triggers({ reports: cluster(deaf('n2'), report('n3', replica({ followsAs: 'n3_t7' }))) })).toEqual([]);
  });

  it('is not when there is a way to its machine, whatever they hear', () => {
    expect(triggers({ reports: cluster(deaf('n2'), deaf('n3', { lost: [] })) })).toEqual([]);
    expect(triggers({ reports: cluster(deaf('n2'), deaf('n3', { lost: [], reached: ['n1', 'n2'] })) })).toEqual([]);
  });

  it('is not before they have been without a message for as long as one would veto', () => {
    expect(triggers({ reports: cluster(deaf('n2'), deaf('n3', { silentMs: 1400 })) })).toEqual([]);
  });

  it('is not when one who could win is reached by nobody', () => {
    expect(triggers({ reports: cluster(deaf('n2'), deaf('n3', { reached: [] })) })).toEqual([]);
    expect(triggers({ reports: cluster(deaf('n2', { reached: [] }), deaf('n3')) })).toEqual([]);
  });

  it('is, when the one whom nobody reaches may not lead', () => {
    const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3', { nofailover: true }) };
    expect(triggers({ state: { members }, reports: cluster(deaf('n2', { reached: [] }), deaf('n3')) })).toEqual(['primary-unheard']);
  });

  it('is not when the other is too far behind to acknowledge soon', () => {
    const behind = replica({ followsAs: 'n3_t7', walEnd: { timeline: 4, lsn: 1000n, history: [] }, receiveLsn: 1000n });
    const ahead = replica({ followsAs: 'n2_t7', walEnd: { timeline: 4, lsn: 100_000_000n, history: [] }, receiveLsn: 100_000_000n });
    expect(triggers({ reports: cluster(deaf('n2', {}, ahead), deaf('n3', {}, behind)) })).toEqual([]);
  });

  it('is not on old news', () => {
    expect(triggers({ silentMs: { n3: 1200 } })).toEqual([]);
  });

  it('is not by those that ask for nothing in this term', () => {
    expect(triggers({ reports: cluster(deaf('n2'), deaf('n3', {}, replica({ followsAs: 'n3_t6' }))) })).toEqual([]);
  });

  it('is not twice in a row within flapBlockMs, and after another failover it is', () => {
    const record = {
      term: 7,
      primary: 'n1',
      timeline: 4,
      reason: '',
      detectMs: 0,
      raisedAtMs: 0,
      electedAtMs: 0,
      promotedAtMs: 0,
      establishedAtMs: 0,
      lostBytes: 0,
    };
    const history = (trigger: 'primary-unheard' | 'primary-lost') => ({ history: [{ ...record, trigger }] });
    expect(triggers({ state: history('primary-unheard') })).toEqual([]);
    expect(triggers({ state: history('primary-lost') })).toEqual(['primary-unheard']);
    const seen = { proposalAtMs: 0, ruleAtMs: NOW - 61_000, intentAtMs: 0, leadingAtMs: NOW };
    expect(triggers({ state: history('primary-unheard'), local: { seen } })).toEqual(['primary-unheard']);
  });

  it('is not where no replica must acknowledge, or the term is not established', () => {
    expect(triggers({ state: { rule: { ...RULE, cohort: [], acks: 0 } } })).toEqual([]);
    expect(triggers({ state: { rule: { ...RULE, established: false, before: [RULE] } } })).toEqual([]);
  });

  it('is not while a third may acknowledge, of whom nothing is heard', () => {
    const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3'), n4: spec('n4') };
    const reports = [...cluster(deaf('n2'), deaf('n3')), report('n4', streaming('n4'))];
    const state = (cohort: readonly string[]) => ({ members, rule: { ...RULE, cohort } });
    expect(triggers({ state: state(['n2', 'n3', 'n4']), reports, silentMs: { n4: 9000 } })).toEqual([]);
    expect(triggers({ state: state(['n2', 'n3']), reports, silentMs: { n4: 9000 } })).toEqual(['primary-unheard']);
  });
});

describe('a primary that the store does not hear', () => {
  const lost = (n2: Partial<Sight>, n3: Partial<Sight>, silentMs: number) => {
    const stream = (id: string, sight: Partial<Sight>): MemberReport =>
      report(id, streaming(id), { sight: { ...CUT, silentMs: 300, ...sight } });
    return triggers({ reports: cluster(stream('n2', n2), stream('n3', n3), report('n1', primary())), silentMs: { n1: silentMs } });
  };

  it('is lost in spite of a message that still came, when nobody who had one gets an answer of its machine', () => {
    expect(lost({}, {}, 1800)).toEqual(['primary-lost']);
  });

  it('is not while one of them does, or before it has been absent for as long as a message counts', () => {
    expect(lost({}, { lost: [] }, 1800)).toEqual([]);
    expect(lost({ lost: [] }, {}, 9000)).toEqual([]);
    expect(lost({}, {}, 1400)).toEqual([]);
  });

  it('is, as far as its reports go, when the store answers none of them', () => {
    const shouting = report('n1', primary(), { unansweredMs: 1500 });
    const hearer = { leaseMs: 1000, storeBackAtMs: 0 };
    const first = hear(undefined, report('n1', primary(), { unansweredMs: 200 }), NOW - 1900, hearer);
    const last = hear(first, shouting, NOW - 100, hearer);
    expect(last).toEqual({ report: shouting, heardAtMs: NOW - 100, takesPartAtMs: NOW - 1900 });
    // Just after the store was away for all, everybody's first word is like that.
    expect(hear(first, shouting, NOW - 100, { ...hearer, storeBackAtMs: NOW - 200 }).takesPartAtMs).toBe(NOW - 100);
    const view = viewOf({ self: 'n2', reports: cluster(deaf('n2'), deaf('n3')) });
    const seen = (acks: number) => ({
      ...view,
      state: { ...view.state, rule: { ...RULE, acks, cohort: acks > 0 ? RULE.cohort : [] } },
      members: { ...view.members, n1: last },
    });
    const kinds = (acks: number) =>
      decide(seen(acks), NOW).flatMap(({ action }) => (action.kind === 'change-store' ? [action.next.proposal?.trigger] : []));
    expect(kinds(1)).toEqual(['primary-lost']);
    // Its lease counts from any of them that may be answered yet.
    expect(kinds(0)).toEqual([]);
  });
});

describe('the lookout', () => {
  const view = (parts: Partial<ViewParts> = {}) =>
    viewOf({ self: 'n2', reports: [report('n1', primary()), report('n2', streaming('n2')), report('n3', streaming('n3'))], ...parts });

  it('is kept by a replica that does not hear the primary, or knows of another that does not', () => {
    expect(lookoutFor(view(), 100, NOW)).toEqual([]);
    expect(lookoutFor(view(), 1200, NOW)).toEqual(['n1', 'n3']);
    const other = [report('n1', primary()), report('n2', streaming('n2')), deaf('n3', { silentMs: 1200 })];
    expect(lookoutFor(view({ reports: other }), 100, NOW)).toEqual(['n1', 'n3']);
    expect(lookoutFor(view({ reports: other, silentMs: { n3: 5000 } }), 100, NOW)).toEqual([]);
  });

  it('ends when all hear it again, though they still tell each other what they saw', () => {
    const reports = [report('n1', primary()), deaf('n2', { silentMs: 50 }), deaf('n3', { silentMs: 60 })];
    expect(lookoutFor(view({ reports }), 50, NOW)).toEqual([]);
  });

  it('is kept while the store has heard nothing of the primary for a while', () => {
    expect(lookoutFor(view({ silentMs: { n1: 1000 } }), 100, NOW)).toEqual([]);
    expect(lookoutFor(view({ silentMs: { n1: 1200 } }), 100, NOW)).toEqual(['n1', 'n3']);
  });

  it('is not kept by the primary, nor where no replica must acknowledge', () => {
    expect(lookoutFor(view({ self: 'n1' }), 5000, NOW)).toEqual([]);
    expect(lookoutFor(view({ state: stateOf({ rule: { ...RULE, acks: 0, cohort: [] } }) }), 5000, NOW)).toEqual([]);
  });

  it('calls lost what gave no answer twice in a row', () => {
    const attempts = new Map<string, Attempts>();
    const tries = (id: string, ...outcomes: readonly ('reached' | 'refused' | 'lost')[]): void => {
      for (const outcome of outcomes) attempts.set(id, noteAttempt(attempts.get(id), outcome));
    };
    tries('n1', 'reached', 'lost');
    tries('n3', 'lost', 'lost');
    tries('n4', 'lost', 'lost', 'reached');
    tries('n5', 'lost', 'refused', 'lost');
    expect(sightOf(7, attempts)).toEqual({ silentMs: 7, reached: ['n4'], lost: ['n3'] });
  });
});
