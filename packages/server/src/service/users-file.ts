import { readFileSync } from 'node:fs';
import { UnderstudyError } from '@understudy/core/cluster';
import { parseVerifier } from '@understudy/wire';

const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** Roles and their passwords from a file as PgBouncer has it (`"name" "password"`, a line each). Throws `bad-config`. */
export function readUsersFile(path: string): Readonly<Record<string, string>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UnderstudyError('bad-config', { path, why: (error as Error).message }, { cause: error });
  }
  if (text.length > MAX_FILE_BYTES) throw new UnderstudyError('bad-config', { path, why: `it is larger than ${MAX_FILE_BYTES} bytes` });
  const users = parseUsers(text);
  if (typeof users === 'string') throw new UnderstudyError('bad-config', { path, why: users });
  return users;
}

const LINE = /^"((?:[^"]|"")+)"\s+"((?:[^"]|"")*)"(?:\s.*)?$/;

/** Or why it cannot be read. Lines that begin with `;` or `#`, and empty ones, are left out. Pure. */
export function parseUsers(text: string): Readonly<Record<string, string>> | string {
  const users: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue;
    const [, name, secret] = LINE.exec(line) ?? [];
    if (name === undefined || secret === undefined) return `line ${index + 1} is not "role" "password"`;
    const password = secret.replaceAll('""', '"');
    if (/^md5[0-9a-f]{32}$/.test(password)) return `line ${index + 1} has an MD5 hash; a password or a SCRAM-SHA-256 verifier is needed`;
    if (password.startsWith('SCRAM-SHA-256$') && parseVerifier(password) === null)
      return `line ${index + 1} has a SCRAM-SHA-256 verifier that is none`;
    users[name.replaceAll('""', '"')] = password;
  }
  return Object.keys(users).length === 0 ? 'it lists no role' : users;
}
