import { type Settings, UnderstudyError } from '@understudy/core/cluster';
import { parseSettings } from '@understudy/core/schemas';
import { describe, expect, test } from 'vitest';
import { takePassedSocket } from '../../src/service/index.ts';
import { listeningOn, passedCount } from '../../src/service/passed-socket.ts';

function settingsOf(given: Record<string, unknown>): Settings {
  const result = parseSettings(given);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.settings;
}

describe('sockets that systemd passes', () => {
  test.each([
    ['none', {}, 0],
    ['one', { LISTEN_PID: '7', LISTEN_FDS: '1' }, 1],
    ['two', { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' }, 2],
    ['those of a parent', { LISTEN_PID: '6', LISTEN_FDS: '1' }, 0],
    ['no process named', { LISTEN_FDS: '1' }, 0],
    ['no number', { LISTEN_PID: '7', LISTEN_FDS: 'all' }, 0],
    ['less than none', { LISTEN_PID: '7', LISTEN_FDS: '-1' }, 0],
  ])('are counted: %s', (_what, env: Record<string, string>, count) => {
    expect(passedCount(env, 7)).toBe(count);
  });

  test('are not meant for children, whoever they were meant for', () => {
    const env: Record<string, string | undefined> = {
      LISTEN_PID: '6',
      LISTEN_FDS: '1',
      LISTEN_FDNAMES: 'port',
      LISTEN_PIDFDID: '9',
      PATH: '/bin',
    };
    expect(takePassedSocket(env, 7)).toBeNull();
    expect(env).toEqual({ PATH: '/bin' });
  });

  test('are refused where there are several, for only one would be served', () => {
    const env = { LISTEN_PID: '7', LISTEN_FDS: '2' };
    expect(() => takePassedSocket(env, 7)).toThrow(UnderstudyError);
    expect(env).toEqual({});
  });
});

describe('settings with such a socket', () => {
  const passed = (host: string) => ({ fd: 3, host, port: 6432 });

  test('have its port, and the address by which the machine is known', () => {
    const settings = settingsOf({ host: '10.0.0.1', port: 5432 });
    expect(listeningOn(settings, passed('::'))).toEqual({ ...settings, port: 6432 });
    expect(listeningOn(settings, null)).toBe(settings);
  });

  test('count as open to others where the socket is, so that TLS is offered', () => {
    expect(listeningOn(settingsOf({}), passed('0.0.0.0')).host).toBe('0.0.0.0');
    expect(listeningOn(settingsOf({}), passed('127.0.0.1')).host).toBe('127.0.0.1');
  });
});
