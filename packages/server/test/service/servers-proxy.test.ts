import { UnderstudyError } from '@understudy/core/cluster';
import { describe, expect, it } from 'vitest';
import { judgeChecks, type ServerCheck } from '../../src/service/server-check.ts';
import { parseUsers } from '../../src/service/users-file.ts';

const answer = (server: string, part: Partial<Extract<ServerCheck, { kind: 'answers' }>> = {}): ServerCheck => ({
  server,
  kind: 'answers',
  version: '16.4',
  systemIdentifier: '7',
  secrets: 'function',
  ...part,
});
const silent: ServerCheck = { server: 'c:5432', kind: 'silent', why: 'connect ECONNREFUSED' };

function refusalOf(checks: readonly ServerCheck[]): string {
  try {
    judgeChecks(checks, 'r', null);
  } catch (error) {
    if (error instanceof UnderstudyError) return `${error.code}: ${error.message}`;
  }
  return 'none';
}

describe('what servers say at the start of a proxy in front of them', () => {
  it('one that answers is enough, and those that do not are named', () => {
    const ready = { kind: 'ready', secrets: { kind: 'function' }, silent: ['c:5432: connect ECONNREFUSED'] };
    expect(judgeChecks([silent, answer('a:5432')], 'r', null)).toEqual(ready);
    expect(judgeChecks([silent], 'r', null)).toEqual({ kind: 'wait', why: 'c:5432: connect ECONNREFUSED' });
  });

  it('a replica that has not replayed the function yet keeps nobody waiting', () => {
    expect(judgeChecks([answer('a:5432', { secrets: null }), answer('b:5432')], 'r', null)).toMatchObject({
      secrets: { kind: 'function' },
    });
  });

  it('a server that keeps its identity to itself is taken at its word', () => {
    expect(judgeChecks([answer('a:5432', { systemIdentifier: null }), answer('b:5432')], 'r', null).kind).toBe('ready');
  });

  it.each<[string, ServerCheck[]]>([
    [
      'router-refused: The servers do not let the role r in: b:5432: no.',
      [answer('a:5432'), { server: 'b:5432', kind: 'refuses', why: 'no' }],
    ],
    [
      'different-clusters: The servers belong to different clusters: a:5432 7, b:5432 8.',
      [answer('a:5432'), answer('b:5432', { systemIdentifier: '8' })],
    ],
    ['server-too-old: a:5432 is PostgreSQL 13.9.', [answer('a:5432', { version: '13.9' })]],
    ['no-user-secrets: The role r may not look up the secrets of those who will log in.', [answer('a:5432', { secrets: null })]],
  ])('%s', (refusal, checks) => {
    expect(refusalOf(checks)).toBe(refusal);
  });
});

describe('a list of roles', () => {
  const VERIFIER =
    'SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

  it('has a role and a password a line, as PgBouncer has it', () => {
    const text = `; a comment\n# another\n\n"app" "secret"\r\n"o""brien" "a ""quoted"" one" more\n"svc" "${VERIFIER}"\n`;
    expect(parseUsers(text)).toEqual({ app: 'secret', 'o"brien': 'a "quoted" one', svc: VERIFIER });
  });

  it.each([
    ['app secret', 'line 1 is not "role" "password"'],
    ['"app" "md5d41d8cd98f00b204e9800998ecf8427e"', 'line 1 has an MD5 hash; a password or a SCRAM-SHA-256 verifier is needed'],
    ['"app" "SCRAM-SHA-256$x"', 'line 1 has a SCRAM-SHA-256 verifier that is none'],
    ['; nobody', 'it lists no role'],
  ])('%s is refused: %s', (text, why) => {
    expect(parseUsers(text)).toBe(why);
  });
});
