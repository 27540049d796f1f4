import { backend } from '@understudy/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deque } from '../../src/proxy/deque.ts';
import { newUnit } from '../../src/proxy/client-unit.ts';
import { answerLocally, tagOnly } from '../../src/proxy/local-answer.ts';
import { Pins } from '../../src/proxy/pins.ts';
import { type PreparedStatement, nameForUnknown, renameInError } from '../../src/proxy/prepared.ts';
import { applySetting, levelOf, type RouterWishes, showVariable } from '../../src/proxy/router-state.ts';
import { SessionState } from '../../src/proxy/session-state.ts';
import { SessionSettings } from '../../src/proxy/settings.ts';
import { SettingsSet, settingsPatch } from '../../src/proxy/settings-set.ts';
import { startupSettings } from '../../src/proxy/startup-settings.ts';
import { UnitQueue } from '../../src/proxy/unit-queue.ts';
import { unitOf } from './units.ts';

const WISHES: RouterWishes = { route: 'auto', consistency: 'strong', maxLagMs: 1000 };

describe('Deque', () => {
  it('behaves as an array does', () => {
    const commands = fc.array(
      fc.oneof(fc.record({ push: fc.nat() }), fc.constant('shift' as const), fc.record({ front: fc.array(fc.nat(), { maxLength: 3 }) })),
      {
        maxLength: 300,
      },
    );
    fc.assert(
      fc.property(commands, list => {
        const deque = new Deque<number>();
        const model: number[] = [];
        for (const command of list) {
          if (command === 'shift') expect(deque.shift()).toBe(model.shift());
          else if ('push' in command) {
            deque.push(command.push);
            model.push(command.push);
          } else {
            deque.unshiftAll(command.front);
            model.unshift(...command.front);
          }
          expect([...deque]).toEqual(model);
          expect([deque.size, deque.peek(), deque.last()]).toEqual([model.length, model[0], model.at(-1)]);
        }
      }),
      { seed: 6 },
    );
  });
});

describe('UnitQueue', () => {
  it('counts the bytes that wait, each once', () => {
    const queue = new UnitQueue();
    const open = { ...newUnit('extended', 0), bytes: 100 };
    queue.put(open);
    open.bytes = 150;
    queue.put(open);
    expect([queue.size, queue.bytes]).toEqual([1, 150]);
    queue.served(open);
    expect([queue.size, queue.bytes]).toEqual([1, 0]);
    open.complete = true;
    queue.served(open);
    expect([queue.size, queue.bytes]).toEqual([0, 0]);
    queue.putBack([open]);
    expect([queue.size, queue.bytes, open.sent]).toEqual([1, 150, 0]);
  });
});

const settingsWith = (values: Readonly<Record<string, string>>): SettingsSet => SettingsSet.of(new Map(Object.entries(values)));

describe('SessionSettings', () => {
  const touchedBy = (text: string): readonly string[] => {
    const settings = new SessionSettings(settingsWith({ 'app.before': 'x' }), 'ann');
    for (const effect of unitOf(text).effects) settings.note(effect);
    return settings.takeQuestion()?.names ?? [];
  };

  it.each([
    ["set work_mem = '1MB'", ['work_mem']],
    ["set local work_mem = '1MB'", []],
    ['reset work_mem', ['work_mem']],
    ['reset all', ['app.before']],
    ['discard all', ['app.before']],
    ["select set_config('app.x', 'y', false)", ['app.x']],
    ["select set_config('app.x', 'y', true)", []],
    [
      'set session characteristics as transaction read only',
      ['default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable'],
    ],
    ["set time zone 'UTC'", ['timezone']],
    ['set role ann', ['role']],
    ['set session authorization ann', ['session_authorization', 'role']],
  ])('%s touches %j', (text, names) => {
    expect([...touchedBy(text)].sort()).toEqual([...names].sort());
  });

  it('a name that cannot be known is reported', () => {
    const settings = new SessionSettings(SettingsSet.EMPTY, 'ann');
    expect(unitOf("select set_config(name, 'x', false) from t").effects.map(effect => settings.note(effect))).toContain(false);
  });

  it('RESET goes back to what the client asked for at the start', () => {
    const settings = new SessionSettings(settingsWith({ work_mem: '9MB' }), 'ann');
    const backend = settingsWith({ work_mem: '1MB', 'app.x': 'y' });
    const after = settings.learn(
      [
        { name: 'work_mem', value: '4MB', own: false },
        { name: 'app.x', value: 'z', own: true },
      ],
      backend,
    );
    expect(settings.current).toBe(settingsWith({ work_mem: '9MB', 'app.x': 'z' }));
    expect(after).toBe(settingsWith({ 'app.x': 'z' }));
  });

  it("a look at the whole session keeps an application's own settings, which the server does not list", () => {
    const settings = new SessionSettings(settingsWith({ 'app.start': 'x' }), 'ann');
    settings.learn(
      [
        { name: 'app.set', value: 'y', own: true },
        { name: 'app.emptied', value: '', own: true },
      ],
      SettingsSet.EMPTY,
    );
    for (const effect of unitOf("set app.new = 'z'").effects) settings.note(effect);
    expect([...settings.customNames].sort()).toEqual(['app.emptied', 'app.new', 'app.set', 'app.start']);
    const values = { 'app.set': 'y', 'app.emptied': '', 'app.new': 'z', 'app.start': '' };
    const after = settings.learnAll(new Map([['work_mem', '1MB']]), new Map(Object.entries(values)));
    const own = { 'app.set': 'y', 'app.emptied': '', 'app.new': 'z', work_mem: '1MB' };
    expect(after).toBe(settingsWith(own));
    expect(settings.current).toBe(settingsWith({ ...own, 'app.start': 'x' }));
  });

  it('makes the smallest patch, with everything quoted', () => {
    const patch = (applied: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): string | null =>
      settingsPatch(settingsWith(applied), settingsWith(wanted));
    expect(patch({}, {})).toBeNull();
    expect(patch({ a: '1', b: '2' }, { b: '2', a: '1' })).toBeNull();
    expect(patch({ 'a"b': '1' }, { c: "it's \\ é" })).toBe(
      `RESET "a""b"; SELECT pg_catalog.set_config('c', E'it''s \\\\ \\U000000e9', false)`,
    );
  });

  it('a role is taken back first and made last: it may not be allowed to set the rest', () => {
    const patch = settingsPatch(settingsWith({ role: 'low', a: '1' }), settingsWith({ role: 'low', log_statement: 'all' }));
    expect(patch).toBe(
      `RESET "role"; RESET "a"; SELECT pg_catalog.set_config('log_statement', 'all', false), pg_catalog.set_config('role', 'low', false)`,
    );
  });

  it('sets of the same content are one, and know what matters to the parser', () => {
    expect(settingsWith({ a: '1', b: '2' })).toBe(settingsWith({ b: '2', a: '1' }));
    expect(settingsWith({ work_mem: '1MB' }).parseScope).toBe('');
    expect(settingsWith({ datestyle: 'German' }).parseScope).not.toBe('');
  });
});

describe('startup settings', () => {
  const of = (parameters: Readonly<Record<string, string>>): unknown => {
    const { settings, fixed } = startupSettings(new Map(Object.entries(parameters)));
    return [Object.fromEntries(settings.values), Object.fromEntries(fixed)];
  };

  it('what SET can change is a setting, the rest is fixed', () => {
    expect(of({ user: 'ann', database: 'd', DateStyle: 'ISO', application_name: 'x', 'understudy.route': 'primary' })).toEqual([
      { datestyle: 'ISO', application_name: 'x' },
      {},
    ]);
    expect(of({ options: '-c work_mem=9MB --search-path=a\\ b -cunderstudy.route=primary', work_mem: '1MB' })).toEqual([
      { work_mem: '1MB', search_path: 'a b' },
      {},
    ]);
    expect(of({ options: '-c ignore_system_indexes=on' })).toEqual([{}, { ignore_system_indexes: 'on' }]);
    expect(of({ options: '-e -c work_mem=9MB' })).toEqual([{}, { options: '-e -c work_mem=9MB' }]);
  });
});

describe('Pins', () => {
  const pinsAfter = (...texts: readonly string[]): Pins => {
    const pins = new Pins();
    for (const text of texts) for (const effect of unitOf(text).effects) pins.note(effect);
    return pins;
  };

  it('temporary objects hold reads until they are discarded', () => {
    expect(pinsAfter('create temp table t (i int)').holdReads).toBe(true);
    expect(pinsAfter('create temp table t (i int)', 'discard temp').holdReads).toBe(false);
    expect(pinsAfter('create temp table t (i int)', 'discard all').holdReads).toBe(false);
  });

  it('locks, cursors and prepared statements are lost with the primary, and said to be', () => {
    expect(pinsAfter('select pg_advisory_lock(1)').takeLost()).toBe('advisory locks');
    expect(pinsAfter('select pg_advisory_xact_lock(1)').takeLost()).toBe('');
    expect(pinsAfter('select pg_advisory_lock(1)', 'select pg_advisory_unlock_all()').takeLost()).toBe('');
    expect(pinsAfter('prepare x as select 1', 'deallocate all').takeLost()).toBe('');
    expect(pinsAfter('declare c cursor with hold for select 1').takeLost()).toBe('cursors with hold');
  });

  it('an audit has the last word on what it can see', () => {
    const pins = pinsAfter('create temp table t (i int)', 'select pg_advisory_lock(1)', "load 'x'", 'listen a');
    expect([pins.holds, pins.inDoubt]).toEqual([true, true]);
    pins.settle({ pins: ['advisory locks'], channels: ['b'] });
    expect([pins.holds, pins.inDoubt, [...pins.channels]]).toEqual([true, false, ['b']]);
    expect(pins.takeLost()).toBe('loaded libraries, advisory locks');
  });

  it('what may release a pin leaves it in doubt', () => {
    const pins = pinsAfter('select pg_advisory_lock(1)');
    pins.settle({ pins: ['advisory locks'], channels: [] });
    for (const effect of unitOf('select pg_advisory_unlock(1)').effects) pins.note(effect);
    expect(pins.inDoubt).toBe(true);
  });

  it('channels are remembered and forgotten', () => {
    expect([...pinsAfter('listen a', 'listen b', 'unlisten a').channels]).toEqual(['b']);
    expect([...pinsAfter('listen a', 'unlisten *').channels]).toEqual([]);
  });
});

describe('SessionState', () => {
  it('answers a lost transaction as PostgreSQL answers a failed one', () => {
    const state = new SessionState(WISHES, new SessionSettings(SettingsSet.EMPTY, 'ann'));
    const told = (text: string): string => {
      const { failure, status } = state.answerLoss(unitOf(text));
      return `${failure === null ? 'done' : failure.fields.code} ${status}`;
    };
    state.status = 'T';
    state.primaryLost(false);
    expect(['select 1', 'select 2', 'rollback'].map(told)).toEqual(['57P01 E', '25P02 E', 'done I']);
    expect(state.hasLoss).toBe(false);
    state.status = 'T';
    state.primaryLost(false);
    expect(['commit'].map(told)).toEqual(['57P01 I']);
    expect(state.hasLoss).toBe(false);
  });

  it('keeps reads where they belong', () => {
    const state = new SessionState(WISHES, new SessionSettings(SettingsSet.EMPTY, 'ann'));
    const read = unitOf('select 1');
    expect(state.whyPrimary(read, 'I')).toBeNull();
    expect(state.whyPrimary(read, 'T')).toBe('in a transaction');
    state.settings.learn([{ name: 'default_transaction_isolation', value: 'serializable', own: true }], SettingsSet.EMPTY);
    expect(state.whyPrimary(read, 'I')).toContain('serializable');
  });
});

describe('what the router says of itself', () => {
  it('settings are applied, reset and shown', () => {
    const next = applySetting(WISHES, { name: 'route', value: 'primary' }, WISHES);
    expect(showVariable('route', next, '', null)).toEqual({ columns: ['understudy.route'], rows: [['primary']], tag: 'SHOW' });
    expect(applySetting(next, { name: 'route', value: null }, WISHES)).toEqual(WISHES);
    expect(showVariable('last_route', next, '', { member: 'n2', because: 'why' }).rows).toEqual([['n2: why']]);
    expect(showVariable('token', next, 'u1:1:1:0/1', null).rows).toEqual([['u1:1:1:0/1']]);
    expect([levelOf('bounded', 5), levelOf('strong', 5)]).toEqual([{ kind: 'bounded', maxLagMs: 5 }, { kind: 'strong' }]);
  });

  it('an answer has every message that PostgreSQL would send', () => {
    const unit = unitOf('show understudy.route');
    const types = (parts: readonly Buffer[]): string => parts.map(part => String.fromCharCode(part[0] as number)).join('');
    expect(types(answerLocally(unit, [{ columns: ['a'], rows: [['1']], tag: 'SHOW' }], 'I'))).toBe('TDCZ');
    expect(types(answerLocally(unit, [tagOnly('SET')], 'T'))).toBe('CZ');
    expect(answerLocally(unit, [tagOnly('SET')], 'T').at(-1)).toEqual(backend.READY.T);
  });
});

describe('names of statements', () => {
  const statement = {
    clientName: 's1',
    onServers: { serverName: 'understudy_7' },
    conflictsWith: null,
    deallocates: null,
  } as PreparedStatement;

  it('errors speak of the names that the client gave', () => {
    const fields = { severity: 'ERROR', code: '26000', message: 'prepared statement "understudy_7" does not exist' } as const;
    expect(renameInError(fields, [{ statement }])?.toString('latin1')).toContain('prepared statement "s1" does not exist');
    expect(renameInError({ ...fields, code: '22012' }, [{ statement }])).toBeNull();
  });

  it('a client cannot reach a name of the proxy', () => {
    expect(nameForUnknown('understudy_7')).not.toBe('understudy_7');
    expect(nameForUnknown('mine')).toBe('mine');
  });
});
