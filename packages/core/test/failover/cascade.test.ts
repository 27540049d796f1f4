import { describe, expect, it } from 'vitest';
import type { ReplicaServer } from '../../src/cluster/index.ts';
import { type Action, decide, upstreamOf } from '../../src/failover/index.ts';
import { healthy, NOW, primary, replica, report, RULE, spec, streaming, type ViewParts, viewOf } from './view-builder.ts';

const actions = (parts: ViewParts): readonly Action[] => decide(viewOf(parts), NOW).map(({ action }) => action);

const members = { n1: spec('n1'), n2: spec('n2'), n3: spec('n3'), n4: spec('n4', { follows: 'n2' }) };
const VIA = 'n4_t7_from_n2';

const from = (applicationName: string, change: Partial<ReplicaServer> = {}): ReplicaServer =>
  replica({ followsAs: applicationName, receiver: { applicationName, streaming: true, lastMessageAgeMs: 100 }, ...change });

/** What n4, which is to follow n2, does; `n2`: its upstream's server. */
function asked(n4: ReplicaServer, parts: Partial<ViewParts> & { readonly n2?: ReplicaServer } = {}): readonly Action[] {
  const { n2 = streaming('n2'), ...rest } = parts;
  const reports = [...healthy({ n2 }), report('n4', n4)];
  return actions({ self: 'n4', reports, ...rest, state: { members, ...rest.state } });
}

const LONG_AGO = { cascade: { upstreamAtMs: NOW - 6000, sinceMs: NOW - 60_000 } };

describe('a cascading replica', () => {
  it('follows its upstream, under a name that no primary counts', () => {
    expect(asked(replica())).toMatchObject([{ kind: 'follow', from: 'n2', host: 'n2.test', applicationName: VIA, slot: 'understudy_n4' }]);
    expect(asked(from(VIA))).toEqual([]);
  });

  it('waits a little for an upstream that does not stream under this term yet, then follows the primary', () => {
    const n2 = from('n2_t6');
    expect(asked(replica(), { n2 })).toEqual([]);
    expect(asked(replica(), { n2, local: LONG_AGO })).toMatchObject([{ kind: 'follow', from: 'n1', applicationName: 'n4_t7' }]);
  });

  it('leaves an upstream that is away, or that serves it nothing, for the primary', () => {
    const notServed = { local: { streamedAtMs: { n4: NOW - 6000 } } };
    expect(asked(from(VIA), { n2: replica(), local: LONG_AGO })).toMatchObject([{ kind: 'isolate' }]);
    expect(asked(replica({ followsAs: VIA }), notServed)).toMatchObject([{ kind: 'isolate' }]);
    expect(asked(replica({ followsAs: VIA }), { local: { streamedAtMs: { n4: NOW - 1000 } } })).toEqual([]);
  });

  it('stays where it is while it hears nothing of the primary: nobody else could take the place of its upstream', () => {
    expect(asked(from(VIA), { n2: replica(), local: LONG_AGO, silentMs: { n1: 5000 }, storeHeardAtMs: NOW - 5000 })).toEqual([]);
  });

  it('takes its first copy from its upstream while that streams, and from the primary where it does not or has failed to give one', () => {
    const copies = (parts: Partial<ViewParts> = {}, n2 = streaming('n2')) =>
      actions({
        self: 'n4',
        reports: [...healthy({ n2 }), report('n4', { kind: 'absent' })],
        ...parts,
        state: { members, ...parts.state },
      });
    expect(copies()).toEqual([{ kind: 'clone', from: 'n2', host: 'n2.test', port: 5432 }]);
    const fromPrimary = [{ kind: 'clone', from: 'n1', host: 'n1.test', port: 5432 }];
    expect(copies({}, replica())).toEqual(fromPrimary);
    expect(copies({ silentMs: { n2: 5000 } })).toEqual(fromPrimary);
    expect(copies({ state: { members: { ...members, n2: spec('n2', { applyDelayMs: 1000 }) } } })).toEqual(fromPrimary);
    const failed = { attempts: 2, lastAtMs: NOW - 60_000, fault: 'unknown' } as const;
    expect(copies({ local: { repair: failed } })).toEqual(fromPrimary);
  });

  it('goes back to its upstream, not at once', () => {
    const since = (sinceMs: number) => ({ local: { cascade: { upstreamAtMs: NOW, sinceMs } } });
    expect(asked(streaming('n4'), since(NOW - 10_000))).toEqual([]);
    expect(asked(streaming('n4'), since(NOW - 30_000))).toMatchObject([{ kind: 'isolate' }]);
  });

  it('stops taking WAL of its upstream when a newer term is asked for, or rules', () => {
    const proposal = { term: 8, by: 'n2', trigger: 'primary-lost', atMs: 0, noticedMs: 0 } as const;
    const promised = [...healthy(), report('n4', from(VIA), { promisedTerm: 8 })];
    expect(actions({ self: 'n4', state: { members, proposal }, reports: promised })).toContainEqual({ kind: 'isolate' });
    expect(asked(from('n4_t6_from_n2'))).toMatchObject([{ kind: 'isolate' }]);
  });

  it('follows its upstream as any replica does when that leads', () => {
    const rule = { ...RULE, primary: 'n2', cohort: ['n1', 'n3'] };
    const reports = [report('n1', streaming('n1')), report('n2', primary()), report('n3', streaming('n3')), report('n4', replica())];
    expect(actions({ self: 'n4', state: { members, rule }, reports })).toMatchObject([
      { kind: 'follow', from: 'n2', applicationName: 'n4_t7' },
    ]);
  });

  it('proves nothing of the primary: no veto when that is lost, though its upstream still sends', () => {
    const reports = [...healthy({ n2: replica({ followsAs: 'n2_t7' }), n3: replica({ followsAs: 'n3_t7' }) }), report('n4', from(VIA))];
    expect(actions({ self: 'n2', state: { members }, reports, silentMs: { n1: 2000 } })).toMatchObject([
      { kind: 'change-store', next: { proposal: { term: 8, trigger: 'primary-lost' } } },
    ]);
  });

  it('never joins the cohort, not even while it streams from the primary', () => {
    const sender = { ...primary().senders[0]!, applicationName: 'n4_t7' };
    const n1 = primary({ senders: [...primary().senders, sender] });
    expect(actions({ self: 'n1', state: { members }, reports: [...healthy({ n1 }), report('n4', streaming('n4'))] })).toEqual([]);
  });
});

describe('whom a member follows', () => {
  const followed = (follows: Readonly<Record<string, string | null>>, primaryId = 'n1') => {
    const all = Object.fromEntries(Object.entries({ n1: null, ...follows }).map(([id, upstream]) => [id, spec(id, { follows: upstream })]));
    return Object.keys(follows).map(id => upstreamOf({ members: all }, { primary: primaryId }, id));
  };

  it('is its upstream, through any number of others', () => {
    expect(followed({ n2: null, n3: 'n2', n4: 'n3' })).toEqual([null, 'n2', 'n3']);
  });

  it('is the primary where the upstream is that, unknown, or the member itself', () => {
    expect(followed({ n2: 'n1', n3: 'n9', n4: 'n4' })).toEqual([null, null, null]);
  });

  it('is the primary for those that name each other in a circle, and not for those outside of it', () => {
    expect(followed({ n2: 'n3', n3: 'n2', n4: 'n3' })).toEqual([null, null, 'n3']);
  });

  it('ends at the primary, whomever that once followed', () => {
    expect(followed({ n2: 'n3', n3: 'n2' }, 'n3')).toEqual([null, 'n2']);
  });
});
