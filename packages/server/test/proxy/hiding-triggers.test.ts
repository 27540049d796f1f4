import { describe, expect, it } from 'vitest';
import { changesCode } from '../../src/proxy/hiding-triggers.ts';
import { classifier } from './units.ts';

describe('what changes the code of a database', () => {
  it.each([
    ['create function f() returns int language sql as $$ select 1 $$', true],
    ['CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS $$ $$', true],
    ['create trigger t after insert on a execute function f()', true],
    ['alter table a enable trigger t', true],
    ['create extension hstore', true],
    ['create temp table a (i int)', false],
    ['alter table a add column b int', false],
  ])('%s changes code: %s', (text, changes) => {
    expect(changesCode(classifier.classifyText(text))).toBe(changes);
  });
});
