import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { exitOfVerdict, renderStatus } from '../../src/cli/status-view.ts';
import { member, status } from '../support/status.ts';

const plain = pc.createColors(false);

const troubled = status({
  verdict: 'degraded',
  summary:
    'n1 is the primary of term 12 with 1 replica; n3 is cloning, 512.0 MB of 4096.0 MB; every commit is on 2 servers before it is acknowledged.',
  term: 12,
  durability: { mode: 'quorum', acks: 1, cohort: ['n2'], protected: true },
  members: [
    member('n1', { role: 'primary', inCohort: false, timeline: 12, receiveLsn: '1A/5F0012B8', replayLsn: '1A/5F0012B8' }),
    member('n2', { timeline: 12, receiveLsn: '1A/5F0012B8', replayLsn: '1A/5E000000', lagBytes: 16_781_496, lagMs: 812 }),
    member('n3', {
      role: 'none',
      state: 'cloning',
      inCohort: false,
      timeline: null,
      receiveLsn: null,
      replayLsn: null,
      lagBytes: null,
      lagMs: null,
      postmasterPid: null,
      detail: 'cloning, 512.0 MB of 4096.0 MB',
    }),
  ],
  alarms: [
    {
      member: 'n3',
      code: 'clone-fails',
      message: 'The copy of the primary has failed five times. Look at the log of n3 and free some space, then resume.',
    },
  ],
});

const headless = status({
  verdict: 'no-primary',
  summary: 'No primary: an election for term 2 is under way.',
  primary: null,
  durability: { mode: 'quorum', acks: 0, cohort: [], protected: false },
  members: [
    member('n1', { role: 'none', state: 'unreachable', detail: 'not heard of' }),
    member('n2', { role: 'none', state: 'stopped', lagMs: null, lagBytes: null }),
  ],
  router: { clients: 3, reads: {}, writes: 0, held: 7, pid: 3000 },
  paused: true,
});

describe('renderStatus', () => {
  for (const columns of [80, 140]) {
    for (const [name, document] of Object.entries({ healthy: status(), troubled, headless })) {
      it(`draws a ${name} cluster in ${columns} columns`, () => {
        const text = renderStatus(document, { columns, colors: plain });
        expect(text).toMatchSnapshot();
        expect(text.split('\n').filter(line => line.length > columns)).toEqual([]);
      });
    }
  }

  it('has no escape codes without colours, and the same text with them', () => {
    const painted = renderStatus(troubled, { columns: 140, colors: pc.createColors(true) });
    const text = renderStatus(troubled, { columns: 140, colors: plain });
    expect(text).not.toContain('\u001b');
    expect(painted).toContain('\u001b[');
    expect(stripVTControlCharacters(painted)).toBe(text);
  });
});

describe('exitOfVerdict', () => {
  it.each([
    ['healthy', 0],
    ['degraded', 3],
    ['no-primary', 4],
  ] as const)('%s -> %i', (verdict, code) => expect(exitOfVerdict(verdict)).toBe(code));
});

describe('cascading replicas', () => {
  const cascading = (id: string, upstream: string, from: string | null) => member(id, { inCohort: false, cascade: { upstream, from } });
  const tree = (...members: ReturnType<typeof member>[]) =>
    renderStatus(status({ members: [member('n1', { role: 'primary', inCohort: false }), ...members] }), { columns: 140, colors: plain })
      .split('\n')
      .flatMap(line => /^((?:[│├└─ ]+)?n\d+) .*?(running.*?)  /.exec(line)?.slice(1) ?? []);

  it('stand below those that they stream from', () => {
    expect(tree(member('n2'), cascading('n3', 'n2', 'n2'), cascading('n4', 'n3', 'n3'), member('n5'))).toEqual([
      'n1',
      'running',
      '├─ n2',
      'running',
      '│  └─ n3',
      'running',
      '│     └─ n4',
      'running',
      '└─ n5',
      'running',
    ]);
  });

  it('stand below the primary while they stream from it, or from nobody; reports that make a circle lose nobody', () => {
    expect(tree(member('n2'), cascading('n3', 'n2', 'n1'), cascading('n4', 'n2', null))).toEqual([
      'n1',
      'running',
      '├─ n2',
      'running',
      '├─ n3',
      'running, from n1 instead of n2',
      '└─ n4',
      'running',
    ]);
    expect(tree(cascading('n2', 'n3', 'n3'), cascading('n3', 'n2', 'n2'))).toHaveLength(6);
  });
});
