import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { afterAll, describe, expect, it } from 'vitest';
import { environmentName } from '../../src/settings/environment.ts';
import { loadSettings, type SettingsInput } from '../../src/settings/load.ts';

const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

function directoryWith(yaml: string | null): string {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-settings-'));
  directories.push(directory);
  if (yaml !== null) writeFileSync(join(directory, 'understudy.yaml'), yaml);
  return directory;
}

function input(overrides: Partial<SettingsInput>): SettingsInput {
  return { flags: {}, env: {}, cwd: directoryWith(null), command: 'up', configPath: null, ...overrides };
}

function errorOf(overrides: Partial<SettingsInput>): UnderstudyError {
  try {
    loadSettings(input(overrides));
  } catch (error) {
    if (error instanceof UnderstudyError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('loadSettings', () => {
  it('takes flags before environment before file before defaults, and knows who said what', () => {
    const loaded = loadSettings(
      input({
        cwd: directoryWith('port: 1111\nreplicas: 3\nhttpPort: 3333\nfailover:\n  leaseMs: 900\n'),
        env: { UNDERSTUDY_PORT: '2222', UNDERSTUDY_HTTP_PORT: '4444', UNDERSTUDY_FAILOVER_HEARTBEAT_MS: '100', PATH: '/bin' },
        flags: { port: '5555', provider: undefined },
      }),
    );
    expect(loaded.settings).toMatchObject({ port: 5555, httpPort: 4444, replicas: 3, failover: { leaseMs: 900, heartbeatMs: 100 } });
    expect([loaded.sources.get('port'), loaded.sources.get('httpPort'), loaded.sources.get('replicas')]).toEqual([
      'flag',
      'environment',
      'file',
    ]);
    expect(loaded.sources.has('provider')).toBe(false);
    expect(loaded.sources.get('failover.leaseMs')).toBe('file');
  });

  it('works without a file, and with an empty one', () => {
    expect(loadSettings(input({})).configPath).toBeNull();
    expect(loadSettings(input({ cwd: directoryWith('# nothing\n') })).settings.port).toBe(5432);
  });

  it('names the flag, the variable or the key of a bad value', () => {
    expect(errorOf({ flags: { replicas: '0' } }).message).toBe('--replicas: must be a whole number from 1 to 15, not 0.');
    expect(errorOf({ env: { UNDERSTUDY_HTTP_PORT: 'x' } }).message).toContain('UNDERSTUDY_HTTP_PORT: must be');
    const inFile = errorOf({ cwd: directoryWith('durability: sync\n') });
    expect([inFile.code, inFile.exit]).toEqual(['bad-config', 2]);
    expect(inFile.message).toContain('durability must be one of quorum, async');
  });

  it('refuses unknown keys with the nearest name', () => {
    const inFile = errorOf({ cwd: directoryWith('replica: 3\n') });
    expect([inFile.code, inFile.exit]).toEqual(['unknown-key', 2]);
    expect(inFile.message).toMatch(/Unknown setting replica in .*understudy\.yaml\. Did you mean replicas\?/);
    expect(errorOf({ cwd: directoryWith('failover:\n  hangTimoutMs: 3\n') }).message).toContain('Did you mean failover.hangTimeoutMs?');
    expect(errorOf({ env: { UNDERSTUDY_REPLICS: '3' } }).message).toContain('Did you mean UNDERSTUDY_REPLICAS?');
  });

  it('refuses a file that is missing, not YAML, or not a map', () => {
    expect(errorOf({ configPath: 'nowhere.yaml' }).code).toBe('bad-config');
    expect(errorOf({ cwd: directoryWith('port: [1, 2\n') }).code).toBe('bad-config');
    expect(errorOf({ cwd: directoryWith('- port\n') }).message).toContain('keys and values');
    expect(errorOf({ cwd: directoryWith('port: 1\nport: 2\n') }).code).toBe('bad-config');
  });

  it('names variables after keys', () => {
    expect(environmentName('port')).toBe('UNDERSTUDY_PORT');
    expect(environmentName('failover.hangTimeoutMs')).toBe('UNDERSTUDY_FAILOVER_HANG_TIMEOUT_MS');
  });
});
