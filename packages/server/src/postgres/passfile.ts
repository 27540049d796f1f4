import { lchownSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { errnoOf } from './errors.ts';
import { replaceFile } from './files.ts';

/**
 * The password of a walreceiver lies in a file named after its application_name, outside of the data directory. Taking the file away
 * is what makes an isolation certain: a startup process that has not yet seen the emptied primary_conninfo may start one more walreceiver with
 * the old one, and that cannot authenticate any more. A later upstream has another name, so the old file never comes back.
 */
export function passfilePath(passfileDirectory: string, applicationName: string): string {
  return join(passfileDirectory, `${applicationName}.pgpass`);
}

/** Makes the file of one name the only one there is. Like its removal made anew at each start, so it need not outlive a crash of the machine. */
export function grantStreaming(account: Account | null, passfileDirectory: string, applicationName: string, password: string): void {
  mkdirSync(passfileDirectory, { recursive: true, mode: 0o700 });
  if (account) lchownSync(passfileDirectory, account.uid, account.gid);
  const path = passfilePath(passfileDirectory, applicationName);
  removeExcept(passfileDirectory, path);
  replaceFile(account, path, `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`);
}

/** Takes every file away: no walreceiver can authenticate from now on. */
export function revokeStreaming(passfileDirectory: string): void {
  removeExcept(passfileDirectory, null);
}

function removeExcept(directory: string, kept: string | null): void {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  for (const path of names.map(name => join(directory, name))) {
    if (path !== kept) rmSync(path, { force: true });
  }
}
