import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, EVENT_KINDS, EXIT, UnderstudyError } from '../../src/cluster/index.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];

/** A detail for every {placeholder} of an entry, each with a value that can be found again. */
function detailsOf(code: ErrorCode): Record<string, string> {
  const { message, action } = ERRORS[code];
  const names = [...`${message}${action}`.matchAll(/\{(\w+)\}/g)].map(match => match[1]!);
  return Object.fromEntries(names.map(name => [name, `<${name}>`]));
}

describe.each(codes)('%s', code => {
  const details = detailsOf(code);
  const error = new UnderstudyError(code, details);

  test('fills all of its details in', () => {
    expect(`${error.message}${error.action}`).not.toMatch(/[{}]/);
    for (const value of Object.values(details)) expect(`${error.message}${error.action}`).toContain(value);
  });

  test('says what happened and what to do, and exits with a code of ours', () => {
    expect(error.message).not.toBe('');
    expect(error.action).not.toBe('');
    expect(Object.values(EXIT)).toContain(error.exit);
    expect(error.exit).not.toBe(EXIT.ok);
  });
});

test('exit codes are those of the reference', () => {
  expect(EXIT).toEqual({ ok: 0, error: 1, usage: 2, degraded: 3, noPrimary: 4, timedOut: 5, refused: 6 });
  expect(new UnderstudyError('bad-usage', { why: 'x', help: 'y' }).exit).toBe(2);
  expect(new UnderstudyError('no-primary', { why: 'x' }).exit).toBe(4);
  expect(new UnderstudyError('timed-out', { what: 'x', limitMs: 1 }).exit).toBe(5);
  expect(new UnderstudyError('would-lose-data', { why: 'x', missing: 'y' }).exit).toBe(6);
});

test('a detail that looks like a pattern stays as it is', () => {
  const error = new UnderstudyError('bad-config', { path: '$& $1 {why}', why: '{path}' });
  expect(error.message).toBe('The configuration $& $1 {why} is not valid: {path}.');
});

test('an unknown detail is left to be seen, not to be thrown over', () => {
  expect(new UnderstudyError('no-primary').message).toBe('There is no primary: {why}.');
  expect(new UnderstudyError('bad-config', { path: 'x' }).message).toContain('{why}');
});

test('the cause and the details are kept', () => {
  const cause = new Error('inner');
  const error = new UnderstudyError('timed-out', { what: 'It', limitMs: 5 }, { cause });
  expect(error).toMatchObject({ name: 'UnderstudyError', code: 'timed-out', details: { what: 'It', limitMs: 5 }, cause });
});

test('every kind of event says what it means, in one sentence', () => {
  for (const meaning of Object.values(EVENT_KINDS)) expect(meaning).toMatch(/^[A-Z].*\.$/);
});
