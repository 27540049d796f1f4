import { describe, expect, it } from 'vitest';
import { Story } from './scenario.ts';

const TWO_ACKS = { mode: 'quorum', acks: 2, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 } as const;

describe('a primary that loses its replicas, while all of them reach the store', () => {
  it('is replaced by one that the others reach, and follows it once there is a way again', () => {
    const story = new Story();
    story.befalls('n1', 'cut-members');
    expect(story.failsOver()).toBeLessThan(3000);
    expect(story.state.history.at(-1)?.trigger).toBe('primary-unheard');
    expect(story.server('n1').leads).toBe(false);
    story.acknowledges();
    story.passes(5000);
    expect(story.term).toBe(2);
    story.mends();
  });

  it('is replaced when what it sends arrives and what it is sent does not, too, and the other way round', () => {
    // Which way is cut goes by the last digits of the time.
    for (const forMs of [1e6, 1e6 + 1]) {
      const story = new Story({ config: { replicaTimeoutMs: 5000 } });
      story.befalls('n1', 'cut-pair-one-way', forMs, 'n2');
      story.befalls('n1', 'cut-pair-one-way', forMs, 'n3');
      expect(story.failsOver()).toBeLessThan(5000);
      story.acknowledges();
      story.mends();
    }
  });

  it('stays while enough of them acknowledge', () => {
    const story = new Story();
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.passes(10_000);
    expect([story.term, story.state.rule?.cohort]).toEqual([1, ['n3']]);
    story.acknowledges();
    story.mends();
  });

  it('is replaced when fewer of them hear it than commits wait for, by one that reaches enough', () => {
    const story = new Story({ members: 4, durability: TWO_ACKS });
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.befalls('n1', 'cut-pair', 1e9, 'n3');
    expect(story.failsOver()).toBeLessThan(3000);
    story.acknowledges();
    story.mends();
  });

  it('and stays where nobody else would reach as many', () => {
    const story = new Story({ durability: TWO_ACKS });
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.passes(10_000);
    expect([story.term, story.state.rule?.cohort, story.state.rule?.acks]).toEqual([1, ['n3'], 1]);
    story.mends();
  });

  it('is replaced while a machine more is gone, once that has left the cohort', () => {
    const story = new Story({ members: 4 });
    story.befalls('n4', 'crash-host');
    story.awaits('n4 has left', () => story.state.rule?.cohort.join() === 'n2,n3' && story.world.leader!.namesInForce());
    story.befalls('n1', 'cut-members');
    expect(story.failsOver()).toBeLessThan(4000);
    story.acknowledges();
    story.mends();
  });

  it('stays, and goes on alone, where the replicas do not reach each other either', () => {
    const story = new Story();
    story.befalls('n1', 'cut-all');
    story.awaits('the cohort is empty', () => story.state.rule?.acks === 0, 6000);
    story.acknowledges();
    story.passes(10_000);
    expect(story.term).toBe(1);
    story.mends();
  });

  it('stays while its replicas only stand still or start: there is a way to it', () => {
    for (const kind of ['disk-frozen', 'crash-both', 'stop-postgres'] as const) {
      const story = new Story();
      story.befalls('n2', kind, 6000);
      story.befalls('n3', kind, 6000);
      story.passes(12_000);
      expect([kind, story.term, story.primary]).toEqual([kind, 1, 'n1']);
      story.mends();
    }
  });

  it('is not replaced a second time while the network goes to and fro', () => {
    const story = new Story();
    story.befalls('n1', 'cut-members', 4000);
    story.failsOver();
    story.passes(3000);
    story.heals();
    const { primary, term } = story;
    story.befalls(primary, 'cut-members');
    story.awaits('the cohort is empty', () => story.state.rule?.acks === 0, 6000);
    story.acknowledges();
    story.passes(10_000);
    expect(story.term).toBe(term);
    story.mends();
  });

  it('is replaced by the only one that may lead, though the other would not be', () => {
    const story = new Story({ specs: { n3: { nofailover: true } } });
    story.befalls('n1', 'cut-members');
    expect(story.failsOver()).toBeLessThan(3000);
    expect(story.primary).toBe('n2');
    story.mends();
  });
});
