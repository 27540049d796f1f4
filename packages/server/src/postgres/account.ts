import { chown, lstat, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errnoOf, PostgresError } from './errors.ts';

/** The operating-system account that PostgreSQL runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; the first of these that exists is used instead. */
const UNPRIVILEGED_ACCOUNTS = ['postgres', 'nobody'];

/** Finds an account in the text of /etc/passwd. */
export function findAccount(passwd: string, name: string): Account | null {
  for (const line of passwd.split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name && uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/**
 * The account to run PostgreSQL as: null (ourselves) unless we are root; then `postgres`, else `nobody`.
 * Throws `no-unprivileged-account`.
 */
export async function chooseAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const passwd = await readFile('/etc/passwd', 'utf8');
  for (const name of UNPRIVILEGED_ACCOUNTS) {
    const account = findAccount(passwd, name);
    if (account && account.uid !== 0) return account;
  }
  throw new PostgresError(
    'no-unprivileged-account',
    `PostgreSQL does not run as root, and none of the accounts ${UNPRIVILEGED_ACCOUNTS.join(', ')} exists`,
  );
}

export type Access = 'enter' | 'read' | 'write';

const ACCESS_BITS: Record<Access, number> = { enter: 1, read: 5, write: 7 };

/**
 * Whether the account may use `path` (a directory) by the permission bits: x on every parent, and `access` on the path itself.
 * A path that does not exist yet is judged by its nearest parent that does, since we create the rest ourselves.
 * Access control lists are not read: what this allows is tried for real when the binaries are first run.
 */
export async function canReach(account: Account | null, path: string, access: Access): Promise<boolean> {
  const target = resolve(path);
  const directories = [target];
  for (let at = target; dirname(at) !== at; at = dirname(at)) directories.push(dirname(at));
  for (const directory of directories) {
    let info: { uid: number; gid: number; mode: number };
    try {
      info = await stat(directory);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue;
      return false;
    }
    const wanted = directory === target ? ACCESS_BITS[access] : ACCESS_BITS.enter;
    if (!allows(info, account ?? ourselves(), wanted)) return false;
  }
  return true;
}

function ourselves(): Account {
  return { name: 'self', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

function allows(info: { uid: number; gid: number; mode: number }, account: Account, bits: number): boolean {
  if (account.uid === 0) return true;
  const shift = info.uid === account.uid ? 6 : info.gid === account.gid ? 3 : 0;
  return ((info.mode >> shift) & bits) === bits;
}

/** Gives a file or directory to the account; nothing to do when PostgreSQL runs as ourselves. Never follows a symbolic link. */
export async function giveTo(account: Account | null, path: string): Promise<void> {
  if (!account) return;
  const info = await lstat(path);
  if (info.isSymbolicLink() || (info.uid === account.uid && info.gid === account.gid)) return;
  await chown(path, account.uid, account.gid);
}
