import { ProtocolError } from '@understudy/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnswerKind, Expectations, VISIBLE } from '../../src/proxy/expectations.ts';

function expecting(...kinds: readonly AnswerKind[]): Expectations {
  const due = new Expectations();
  for (const kind of kinds) due.expect(VISIBLE[kind]);
  return due;
}

const take = (due: Expectations, letters: string): string[] => [...letters].map(letter => due.take(letter.charCodeAt(0)));

describe('Expectations', () => {
  it('follow the answers to an extended unit and a simple query', () => {
    const due = expecting('parse', 'bind', 'describe', 'execute', 'sync', 'query');
    expect(take(due, '12TDDCZ')).toEqual(['completes', 'completes', 'completes', 'within', 'within', 'completes', 'ready']);
    expect(take(due, 'TDCICZ')).toEqual(['within', 'within', 'within', 'within', 'within', 'ready']);
    expect(due.size).toBe(0);
  });

  it('skip to the next Sync after an error, and tell those that were skipped', () => {
    const settled: [string, boolean][] = [];
    const due = new Expectations();
    for (const kind of ['parse', 'bind', 'execute'] as const) due.expect({ ...VISIBLE[kind], settle: ok => settled.push([kind, ok]) });
    due.expect(VISIBLE.sync);
    due.expect(VISIBLE.bind);
    due.expect(VISIBLE.sync);
    expect(take(due, '1EZ')).toEqual(['completes', 'fails', 'ready']);
    expect(settled).toEqual([
      ['parse', true],
      ['bind', false],
      ['execute', false],
    ]);
    expect(take(due, '2Z')).toEqual(['completes', 'ready']);
  });

  it('a group that fails before its Sync was sent is passed over up to that Sync', () => {
    const settled: boolean[] = [];
    const due = expecting('parse');
    expect(take(due, 'E')).toEqual(['fails']);
    for (const kind of ['bind', 'query', 'execute'] as const) due.expect({ ...VISIBLE[kind], settle: ok => settled.push(ok) });
    expect([due.size, settled]).toEqual([0, [false, false, false]]);
    due.expect(VISIBLE.sync);
    due.expect(VISIBLE.parse);
    expect(take(due, 'Z1')).toEqual(['ready', 'completes']);
  });

  it('a suspended portal ends its Execute', () => {
    expect(take(expecting('execute', 'execute', 'sync'), 'DsDCZ')).toEqual(['within', 'completes', 'within', 'completes', 'ready']);
  });

  it.each([
    ['a row before anything was asked', [], 'D'],
    ['rows for a Parse', ['parse'], 'D'],
    ['a ReadyForQuery too early', ['execute', 'sync'], 'Z'],
    ['a BindComplete for a Parse', ['parse'], '2'],
    ['an unknown message', ['query'], 'q'],
  ] as const)('refuse %s', (_name, kinds, letters) => {
    expect(() => take(expecting(...kinds), letters)).toThrow(ProtocolError);
  });

  it('a Sync sent during COPY in of a simple query is never answered', () => {
    const due = expecting('query');
    take(due, 'G');
    expect(due.copyingIn).toBe(true);
    due.expect(VISIBLE.sync);
    expect(due.size).toBe(1);
    take(due, 'CZ');
    expect([due.size, due.copyingIn]).toEqual([0, false]);
  });

  it.each(['C', 'E'])('the Sync before the end of an extended COPY in is ignored, the one behind it answered (%s)', letter => {
    const due = expecting('execute', 'sync');
    take(due, 'G');
    due.copyEnded();
    due.expect(VISIBLE.sync);
    take(due, `${letter}Z`);
    expect(due.size).toBe(0);
  });

  it('a COPY in that fails before its end was sent waits for the Sync behind it', () => {
    const due = expecting('execute', 'sync');
    take(due, 'GE');
    expect(due.size).toBe(0);
    due.expect(VISIBLE.sync);
    expect(take(due, 'Z')).toEqual(['ready']);
  });

  it('never survive a message that does not fit, whatever came before', () => {
    const kinds = fc.array(fc.constantFrom<AnswerKind>('parse', 'bind', 'close', 'describe', 'execute', 'sync', 'query'), { maxLength: 8 });
    const letters = fc.string({ unit: fc.constantFrom(...'123CDEGHITZcdnst'), maxLength: 20 });
    fc.assert(
      fc.property(kinds, letters, (due, answers) => {
        const expectations = expecting(...due);
        let size = expectations.size;
        for (const answer of answers) {
          try {
            expectations.take(answer.charCodeAt(0));
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
            return;
          }
          expect(expectations.size).toBeLessThanOrEqual(size);
          size = expectations.size;
        }
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});
