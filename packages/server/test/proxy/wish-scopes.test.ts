import { describe, expect, test } from 'vitest';
import type { RouterWishes } from '../../src/proxy/router-state.ts';
import { WishScopes } from '../../src/proxy/wish-scopes.ts';
import { classifier } from './units.ts';

const DEFAULTS: RouterWishes = { route: 'auto', consistency: 'strong', maxLagMs: 1000 };

/** Runs statements as a session would; `!` in front of one: it fails. Gives the level in force after each. */
function levels(...texts: readonly string[]): readonly string[] {
  const scopes = new WishScopes(DEFAULTS);
  let open = false;
  return texts.map(text => {
    const failed = text.startsWith('!');
    const { unit } = classifier.classifyText(failed ? text.slice(1) : text);
    const [statement] = unit.statements;
    if (statement?.kind === 'router') {
      const { command } = statement;
      if (command.kind === 'set' && command.setting.name !== 'token')
        scopes.set(command.setting, command.scope, open ? 'inside' : 'outside');
    } else {
      if (statement?.kind === 'transaction' && !failed) {
        const { control } = statement;
        if (control.kind === 'begin') open = true;
        if (control.kind === 'commit' || control.kind === 'rollback') open = control.chain;
      }
      scopes.ran(unit.statements, unit.effects, failed, open);
    }
    return scopes.current.consistency;
  });
}

const SET = "SET understudy.consistency = 'eventual'";
const LOCAL = "SET LOCAL understudy.consistency = 'session'";

describe('what a session has asked of the router', () => {
  test.each([
    ['stays when it is set outside a transaction', [SET, 'SELECT 1'], 'eventual'],
    ['goes back to what it was at the start', [SET, 'RESET understudy.consistency'], 'strong'],
    ['stays when its transaction commits', ['BEGIN', SET, 'COMMIT'], 'eventual'],
    ['is undone with its transaction', ['BEGIN', SET, 'ROLLBACK'], 'strong'],
    ['is undone by the COMMIT of a failed transaction', ['BEGIN', SET, '!SELECT 1/0', 'COMMIT'], 'strong'],
    ['means nothing as LOCAL outside a transaction', [LOCAL], 'strong'],
    ['ends as LOCAL with the transaction', ['BEGIN', LOCAL, 'COMMIT'], 'strong'],
    ['is in force as LOCAL until then', ['BEGIN', LOCAL], 'session'],
    ['commits what was set for the session under what was set as LOCAL', ['BEGIN', SET, LOCAL, 'COMMIT'], 'eventual'],
    ['is undone to its savepoint', ['BEGIN', SET, 'SAVEPOINT a', LOCAL, 'ROLLBACK TO a'], 'eventual'],
    ['is undone to a savepoint before the first SET', ['BEGIN', 'SAVEPOINT a', SET, '!SELECT 1/0', 'ROLLBACK TO a', 'COMMIT'], 'strong'],
    ['survives the release of its savepoint', ['BEGIN', 'SAVEPOINT a', SET, 'RELEASE a', 'COMMIT'], 'eventual'],
    ['ends with a transaction that is chained to another', ['BEGIN', LOCAL, 'COMMIT AND CHAIN'], 'strong'],
    ['is reset by RESET ALL', [SET, 'RESET ALL'], 'strong'],
    ['is reset by DISCARD ALL', [SET, 'DISCARD ALL'], 'strong'],
    ['is not reset by a RESET ALL that is rolled back', [SET, 'BEGIN', 'RESET ALL', 'ROLLBACK'], 'eventual'],
  ] as const)('%s', (_, statements, level) => {
    expect(levels(...statements).at(-1)).toBe(level);
  });
});
