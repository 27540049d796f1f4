import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { errnoOf } from './errors.ts';
import { makePrivateDirectory, syncDirectory, writeFileAtomically } from './files.ts';

/**
 * The password of a walreceiver lies in a file named after its application_name, outside of the data directory. Taking the file away
 * is what makes an isolation certain: a startup process that has not yet seen the emptied primary_conninfo may start one more walreceiver with
 * the old one, and that cannot authenticate any more. A later upstream has another name, so the old file never comes back.
 */
export function passfilePath(passfileDirectory: string, applicationName: string): string {
  return join(passfileDirectory, `${applicationName}.pgpass`);
}

/** Makes the file of one name the only one there is. */
export async function grantStreaming(
  account: Account | null,
  passfileDirectory: string,
  applicationName: string,
  password: string,
): Promise<void> {
  await makePrivateDirectory(account, passfileDirectory);
  const path = passfilePath(passfileDirectory, applicationName);
  await removeExcept(passfileDirectory, path);
  await writeFileAtomically(account, path, `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`);
}

/** Takes every file away: no walreceiver can authenticate from now on. */
export async function revokeStreaming(passfileDirectory: string): Promise<void> {
  await removeExcept(passfileDirectory, null);
}

async function removeExcept(directory: string, kept: string | null): Promise<void> {
  let names: readonly string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  for (const path of names.map(name => join(directory, name))) {
    if (path !== kept) await rm(path, { force: true });
  }
  await syncDirectory(directory);
}
