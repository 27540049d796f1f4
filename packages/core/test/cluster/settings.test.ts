import { describe, expect, it } from 'vitest';
import { DEFAULT_FAILOVER, formatBytes, nearestName, parseBytes } from '../../src/cluster/index.ts';
import { describeSettings, parseSettings } from '../../src/schemas/index.ts';

describe('parseSettings', () => {
  it('fills in every default', () => {
    const result = parseSettings({});
    expect(result).toMatchObject({
      ok: true,
      settings: { cluster: 'main', port: 5432, httpPort: 8008, replicas: 2, durability: 'quorum' },
    });
    expect(result.ok && result.settings.failover).toEqual(DEFAULT_FAILOVER);
  });

  it('reads numbers and sizes written as text', () => {
    const result = parseSettings({ port: '6000', maxLossBytes: '1.5MB', failover: { leaseMs: '2000' } });
    expect(result).toMatchObject({
      ok: true,
      settings: { port: 6000, maxLossBytes: 1_572_864, failover: { leaseMs: 2000, heartbeatMs: 250 } },
    });
  });

  it.each([
    [{ replicas: 0 }, 'replicas', 'must be a whole number from 1 to 15, not 0'],
    [{ replicas: 99 }, 'replicas', 'must be a whole number from 1 to 15, not 99'],
    [{ port: '54x2' }, 'port', 'must be a whole number from 1 to 65535, not "54x2"'],
    [{ port: 1.5 }, 'port', 'must be a whole number from 1 to 65535, not 1.5'],
    [{ durability: 'quorm' }, 'durability', 'must be one of quorum, async, not "quorm" (did you mean quorum?)'],
    [{ maxLossBytes: '16 elephants' }, 'maxLossBytes', 'must be a size such as 16MB'],
    [{ failover: { leaseMs: -1 } }, 'failover.leaseMs', 'must be a whole number from 1 to 86400000, not -1'],
    [{ replicas: 2, acks: 3 }, 'acks', 'must not be more than the number of replicas (2)'],
    [
      { postgres: { Synchronous_Commit: 'off' } },
      'postgres.synchronous_commit',
      'is set by Understudy itself: what was acknowledged must survive a crash',
    ],
    [
      { postgres: { recovery_target_time: 'now' } },
      'postgres.recovery_target_time',
      'is set by Understudy itself: Understudy decides what a server recovers, and until when',
    ],
    [{ postgres: { include: 'x.conf' } }, 'postgres.include', 'is set by Understudy itself: it is no setting: put what the file says here'],
    [{ postgres: { 'work mem': 1 } }, 'postgres.work mem', 'is not the name of a PostgreSQL setting'],
    [{ postgres: { work_mem: [1] } }, 'postgres.work_mem', 'must be a text, a number, on or off'],
    [{ postgres: { work_mem: "1\nfsync = 'off'" } }, 'postgres.work_mem', 'must be one line'],
    [{ postgres: ['work_mem'] }, 'postgres', 'must be a map of names to values'],
    [{ binDir: '/opt/pg/bin' }, 'binDir', 'goes with the provider system only'],
  ])('says what is wrong with %j', (value, key, why) => {
    expect(parseSettings(value)).toEqual({ ok: false, issues: [{ kind: 'bad-value', key, why }] });
  });

  it("reads PostgreSQL's own settings, of a file and of the environment", () => {
    const settings = { work_mem: '16MB', max_connections: '300', log_checkpoints: 'on', 'auto_explain.log_min_duration': '1s' };
    const file = parseSettings({
      postgres: { Work_Mem: '16MB', max_connections: 300, log_checkpoints: true, 'auto_explain.log_min_duration': '1s' },
    });
    expect(file).toMatchObject({ ok: true, settings: { postgres: settings } });
    const text = parseSettings({ postgres: 'work_mem=16MB, max_connections=300,log_checkpoints=on,auto_explain.log_min_duration=1s' });
    expect(text).toMatchObject({ ok: true, settings: { postgres: settings } });
  });

  it('names unknown keys with their path', () => {
    expect(parseSettings({ prot: 1, failover: { leseMs: 1 } })).toEqual({
      ok: false,
      issues: expect.arrayContaining([
        { kind: 'unknown-key', key: 'prot' },
        { kind: 'unknown-key', key: 'failover.leseMs' },
      ]) as unknown,
    });
  });
});

describe('describeSettings', () => {
  it('describes every leaf and never leaves a description out', () => {
    const settings = describeSettings();
    expect(settings.map(setting => setting.key)).toEqual(expect.arrayContaining(['port', 'failover.leaseMs', 'proxy.holdTimeoutMs']));
    expect(settings.filter(setting => setting.description === '')).toEqual([]);
    expect(settings.find(setting => setting.key === 'durability')).toMatchObject({ default: 'quorum', values: 'quorum | async' });
  });
});

describe('nearestName', () => {
  it.each([
    ['prot', 'port'],
    ['http_port', 'httpPort'],
    ['HTTPPORT', 'httpPort'],
    ['replica', 'replicas'],
    ['zebra', null],
  ])('%s -> %s', (word, expected) => {
    expect(nearestName(word, ['port', 'httpPort', 'replicas', 'durability'])).toBe(expected);
  });
});

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['10MB', 10_485_760],
    ['1 GB', 1_073_741_824],
    ['1.5kB', 1536],
    ['ten', null],
    ['-1', null],
    ['', null],
  ])('parses %s as %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1536, '1.5 kB'],
    [16 * 1024 ** 2, '16 MB'],
    [3 * 1024 ** 3, '3.0 GB'],
  ])('formats %s as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});
