import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PromiseFile } from '../../src/agent/promise-file.ts';
import { testDirectory } from '../store/fixture.ts';

test('nothing is promised at first, and a promise is there for whoever comes next', () => {
  const directory = testDirectory();
  const promises = new PromiseFile(directory);
  expect(promises.term).toBe(0);
  promises.promise(3);
  expect(promises.term).toBe(3);
  expect(new PromiseFile(directory).term).toBe(3);
  promises.promise(7);
  expect(new PromiseFile(directory).term).toBe(7);
});

test('a promise is never taken back', () => {
  const directory = testDirectory();
  const promises = new PromiseFile(directory);
  promises.promise(7);
  expect(() => promises.promise(6)).toThrow(RangeError);
  expect([promises.term, new PromiseFile(directory).term]).toEqual([7, 7]);
});

test('the same promise again is no work for the disk', () => {
  const directory = testDirectory();
  const promises = new PromiseFile(directory);
  promises.promise(7);
  const { ino } = statSync(join(directory, 'promise.json'));
  promises.promise(7);
  expect(statSync(join(directory, 'promise.json')).ino).toBe(ino);
});

test('what could not be written was not promised', () => {
  const directory = join(testDirectory(), 'member');
  mkdirSync(directory);
  const promises = new PromiseFile(directory);
  promises.promise(2);
  rmSync(directory, { recursive: true });
  expect(() => promises.promise(3)).toThrow('ENOENT');
  expect(promises.term).toBe(2);
});

test.each(['', 'null', '{}', '{"term":"7"}', '{"term":-1}', '{"term":1.5}', '{"term":1e300}', '{"term":7', '\0\0\0\0'])(
  'a file that holds %j is not taken for no promise, and left alone',
  content => {
    const directory = testDirectory();
    const file = join(directory, 'promise.json');
    writeFileSync(file, content);
    expect(() => new PromiseFile(directory)).toThrow(expect.objectContaining({ code: 'state-corrupt' }));
    expect(readFileSync(file, 'utf8')).toBe(content);
  },
);
