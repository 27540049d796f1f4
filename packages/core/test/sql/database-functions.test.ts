import { describe, expect, it } from 'vitest';
import { DatabaseFunctions, readFunctions } from '../../src/sql/index.ts';

describe('functions of a database', () => {
  it('the most volatile one of a name counts where no schema is said', () => {
    const functions = new DatabaseFunctions();
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
});
