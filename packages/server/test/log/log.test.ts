import { type EventDraft, EVENT_KINDS, type EventKind, levelOf } from '@understudy/core/cluster';
import { describe, expect, it } from 'vitest';
import { Log, type LogOptions } from '../../src/log/log.ts';
import { redacted } from '../../src/log/redact.ts';

const draft = (kind: EventKind, message: string = kind): EventDraft => ({
  kind,
  message,
  member: 'n1',
  term: 2,
  atMs: 1_700_000_000_123,
  inputs: { pid: 7, url: 'postgres://u:pw@h/d' },
});

function logged(change: Partial<LogOptions>, isTty: boolean, say: (log: Log) => void): string {
  let text = '';
  const sink = { isTty, write: (line: string) => void (text += line), eventLine: ({ kind, message }: EventDraft) => `${kind}  ${message}` };
  say(new Log({ level: 'info', format: 'auto', name: 'member n1', ...change }, sink));
  return text;
}

describe('the log', () => {
  const say = (log: Log): void => {
    log.info('It runs.');
    log.event(draft('server-exited', 'It was killed.'));
  };

  it('is one object a line where nobody looks', () => {
    const lines = logged({}, false, say).trimEnd().split('\n');
    expect(lines.map(line => JSON.parse(line) as object)).toEqual([
      { time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), level: 'info', name: 'member n1', message: 'It runs.' },
      {
        time: '2023-11-14T22:13:20.123Z',
        level: 'warn',
        name: 'member n1',
        kind: 'server-exited',
        member: 'n1',
        term: 2,
        message: 'It was killed.',
        inputs: { pid: 7, url: 'postgres://u:***@h/d' },
      },
    ]);
  });

  it('is lines for eyes on a terminal, and as it is told to be otherwise', () => {
    const pretty = 'It runs.\nserver-exited  It was killed.\n';
    expect(logged({}, true, say)).toBe(pretty);
    expect(logged({ format: 'pretty' }, false, say)).toBe(pretty);
    expect(logged({ format: 'json' }, true, say)).toMatch(/^\{"time"/);
  });

  it.each([
    ['debug', 3],
    ['info', 2],
    ['warn', 1],
    ['error', 0],
  ] as const)('at level %s says %d of three lines', (level, count) => {
    const text = logged({ level }, true, log => {
      log.event(draft('following'));
      log.info('It runs.');
      log.warn('It does not.');
    });
    expect(text.split('\n').length - 1).toBe(count);
  });

  it('says loudly what costs data or needs a person', () => {
    const loud = (Object.keys(EVENT_KINDS) as EventKind[]).filter(kind => levelOf(kind) === 'error');
    expect(loud).toEqual(['protection-lost', 'data-lost', 'alarm']);
  });
});

describe('no secret is logged', () => {
  it.each([
    ['connect to postgres://app:s3cret@db:5432/app', 'connect to postgres://app:***@db:5432/app'],
    ['postgres://app@db/app', 'postgres://app@db/app'],
    ['Authorization: Bearer abc.def-123=', 'Authorization: Bearer ***'],
    ['host=h password=pw user=u', 'host=h password=*** user=u'],
    ['{"token": "abc", "x": 1}', '{"token": ***, "x": 1}'],
    ["password='a b' x", 'password=*** x'],
    ['SCRAM-SHA-256$4096:salt$key:key', 'SCRAM-SHA-256$***'],
    ['The token is missing or wrong.', 'The token is missing or wrong.'],
  ])('%j', (text, clean) => expect(redacted(text)).toBe(clean));
});
