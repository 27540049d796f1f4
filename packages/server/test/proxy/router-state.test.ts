import { expect, test } from 'vitest';
import { wishesAtLogin } from '../../src/proxy/router-state.ts';

const DEFAULTS = {
  consistency: 'strong',
  maxLagMs: 1000,
  levels: { roles: { reporting: 'eventual' }, databases: { archive: 'bounded' } },
} as const;

const login = (parameters: Record<string, string>) => wishesAtLogin(new Map(Object.entries(parameters)), DEFAULTS);
const levelOf = (parameters: Record<string, string>): unknown => {
  const asked = login(parameters);
  return asked.ok ? asked.wishes.consistency : asked.message;
};

test('a level is the one asked for, else of the role, else of the database, else of the cluster', () => {
  expect(levelOf({ user: 'app' })).toBe('strong');
  expect(levelOf({ user: 'app', database: 'archive' })).toBe('bounded');
  expect(levelOf({ user: 'archive' })).toBe('bounded');
  expect(levelOf({ user: 'reporting', database: 'archive' })).toBe('eventual');
  expect(levelOf({ user: 'reporting', 'understudy.consistency': 'session' })).toBe('session');
  expect(levelOf({ user: 'constructor', database: '__proto__' })).toBe('strong');
});

test('wishes come as parameters or as options, in every form that libpq sends', () => {
  const options = "-c understudy.route=replica --understudy.max_lag_ms=250 -cunderstudy.token=u1:7:1:0/10 -c work_mem='4MB'";
  expect(login({ user: 'app', options, 'understudy.consistency': 'bounded' })).toEqual({
    ok: true,
    wishes: { route: 'replica', consistency: 'bounded', maxLagMs: 250 },
    token: 'u1:7:1:0/10',
  });
});

test('what is not valid is said in the words of SET', () => {
  expect(login({ user: 'app', 'understudy.consistency': 'perfect' })).toMatchObject({
    ok: false,
    message: expect.stringContaining('eventual, bounded'),
  });
  expect(login({ user: 'app', options: '-c understudy.nonsense=1' })).toMatchObject({
    ok: false,
    message: expect.stringContaining('nonsense'),
  });
});
