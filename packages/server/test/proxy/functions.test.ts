import { describe, expect, it } from 'vitest';
import { changesCode, Functions, readFunctions } from '../../src/proxy/functions.ts';
import { classifier } from './units.ts';

describe('functions of a database', () => {
  it('the most volatile one of a name counts where no schema is said', () => {
    const functions = new Functions();
    functions.replace(
      readFunctions(
        JSON.stringify([
          { schema: 'a', name: 'f', volatility: 's' },
          { schema: 'b', name: 'f', volatility: 'v' },
          { schema: 'c', name: 'f', volatility: 'i' },
        ]),
      ),
    );
    expect(functions.volatility({ schema: null, name: 'f' })).toBe('volatile');
    expect(functions.volatility({ schema: 'c', name: 'f' })).toBe('immutable');
    expect(functions.volatility({ schema: null, name: 'g' })).toBeNull();
  });

  it('a database without functions answers null', () => {
    expect(readFunctions(null)).toEqual([]);
  });

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
