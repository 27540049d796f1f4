import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterEvent, EventDraft } from '@understudy/core/cluster';
import { describe, expect, test } from 'vitest';
import { EventLog } from '../../src/supervisor/event-log.ts';
import { testDirectory, threeMembers } from '../store/fixture.ts';

const draft = (message: string, change: Partial<EventDraft> = {}): EventDraft => ({
  atMs: 1,
  kind: 'decision',
  member: null,
  term: null,
  message,
  inputs: {},
  ...change,
});

const path = (): string => join(testDirectory(), 'events.jsonl');
const all = (log: EventLog): readonly ClusterEvent[] => log.after(0, Number.MAX_SAFE_INTEGER);
const messages = (log: EventLog): readonly string[] => all(log).map(({ message }) => message);
const LIMIT_BYTES = 8 * 1024 * 1024;

describe('events', () => {
  test('are numbered, told and kept in a file for nobody else to read', () => {
    const file = path();
    const log = new EventLog(file);
    const heard: ClusterEvent[] = [];
    const stop = log.subscribe(event => heard.push(event));
    log.append(draft('one'));
    log.append(draft('two'));
    stop();
    log.append(draft('three'));
    expect(heard.map(({ id, message }) => [id, message])).toEqual([
      [1, 'one'],
      [2, 'two'],
    ]);
    expect(all(log).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(4);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('are asked for by number: the newest of those behind it', () => {
    const log = new EventLog(path());
    for (let i = 1; i <= 10; i++) log.append(draft(String(i)));
    expect(log.after(8, 100).map(({ id }) => id)).toEqual([9, 10]);
    expect(log.after(0, 3).map(({ id }) => id)).toEqual([8, 9, 10]);
    expect(log.after(10, 3)).toEqual([]);
    expect(log.after(0, 0)).toEqual([]);
  });

  test('fill no more than their place in memory', () => {
    const log = new EventLog(path());
    for (let i = 1; i <= 2100; i++) log.append(draft(String(i)));
    expect(all(log)).toHaveLength(2000);
    expect(all(log)[0]?.id).toBe(101);
  });

  test('reach the others when one listener throws', () => {
    const log = new EventLog(path());
    const heard: number[] = [];
    log.subscribe(() => {
      throw new Error('a listener of this test fails');
    });
    log.subscribe(({ id }) => heard.push(id));
    expect(log.append(draft('one')).id).toBe(1);
    expect(heard).toEqual([1]);
  });

  test('of a change that an operator made are told by nobody else', () => {
    const log = new EventLog(path());
    log.appendChange(threeMembers(), { ...threeMembers(), paused: { atMs: 1 } }, 'Because.');
    expect(all(log)).toMatchObject([{ kind: 'paused', member: null, message: 'Because.' }]);
  });
});

describe('a log that is opened again', () => {
  test('goes on with its numbers', () => {
    const file = path();
    const first = new EventLog(file);
    first.append(draft('one'));
    first.append(draft('two'));
    const second = new EventLog(file);
    expect(all(second)).toEqual(all(first));
    expect(second.append(draft('three')).id).toBe(3);
  });

  test('leaves out a line that was cut off, and loses none behind it', () => {
    const file = path();
    const first = new EventLog(file);
    first.append(draft('one'));
    first.append(draft('two'));
    truncateSync(file, statSync(file).size - 5);
    const second = new EventLog(file);
    expect(messages(second)).toEqual(['one']);
    second.append(draft('after'));
    second.append(draft('and after'));
    expect(messages(new EventLog(file))).toEqual(['one', 'after', 'and after']);
  });

  test.each(['null', '7', '"text"', '[]', '{}', '{"id":"x","kind":"decision"}', 'hello', ''])('leaves out a line that is %j', line => {
    const file = path();
    new EventLog(file).append(draft('one'));
    appendFileSync(file, `${line}\n`);
    const log = new EventLog(file);
    expect(messages(log)).toEqual(['one']);
    expect(log.append(draft('two')).id).toBe(2);
  });

  test('starts where the file cannot be read', () => {
    const file = path();
    mkdirSync(file);
    const log = new EventLog(file);
    expect(log.append(draft('one')).id).toBe(1);
    expect(messages(log)).toEqual(['one']);
  });
});

describe('the file', () => {
  test('is set aside when it is long, and its numbers are not forgotten', () => {
    const file = path();
    const log = new EventLog(file);
    log.append(draft('x'.repeat(LIMIT_BYTES)));
    log.append(draft('two'));
    expect(statSync(`${file}.1`).size).toBeGreaterThan(LIMIT_BYTES);
    expect(statSync(file).size).toBeLessThan(1000);
    expect(all(new EventLog(file)).map(({ id }) => id)).toEqual([1, 2]);
    // A crash between the two leaves only the older one.
    rmSync(file);
    expect(new EventLog(file).append(draft('three')).id).toBe(2);
  });

  test('never takes more than two generations', () => {
    const file = path();
    const log = new EventLog(file);
    for (let i = 0; i < 4; i++) log.append(draft('x'.repeat(LIMIT_BYTES)));
    expect(statSync(file).size + statSync(`${file}.1`).size).toBeLessThan(2 * LIMIT_BYTES + 10_000);
    expect(() => statSync(`${file}.2`)).toThrow('ENOENT');
  });

  test('that cannot be written stops nothing, and is taken up when it can', () => {
    const file = join(testDirectory(), 'later', 'events.jsonl');
    const log = new EventLog(file);
    log.append(draft('lost'));
    expect(messages(log)).toEqual(['lost']);
    mkdirSync(join(file, '..'));
    log.append(draft('kept'));
    expect(messages(new EventLog(file))).toEqual(['kept']);
  });

  test('that ends within a line is mended by the next event', () => {
    const file = path();
    writeFileSync(file, '{"id":5,"kind":"decision","mess');
    const log = new EventLog(file);
    log.append(draft('one'));
    expect(messages(new EventLog(file))).toEqual(['one']);
  });
});
