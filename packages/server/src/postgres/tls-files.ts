import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { errnoOf } from './errors.ts';
import { makePrivateDirectory, writeFileAtomically } from './files.ts';

/** Where an operator keeps this machine's certificate, in PEM. */
export interface TlsSources {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The files of a directory that installTls has filled. */
export function tlsPaths(directory: string): TlsSources {
  return { ca: join(directory, 'ca.crt'), cert: join(directory, 'machine.crt'), key: join(directory, 'machine.key') };
}

/**
 * Copies them to where PostgreSQL's account can read them and nobody else can: it takes a key of no other owner. True when something had changed.
 */
export async function installTls(account: Account | null, sources: TlsSources, directory: string): Promise<boolean> {
  await makePrivateDirectory(account, directory);
  const targets = tlsPaths(directory);
  let changed = false;
  // The key last: between the two, a server that reads them finds no pair, and keeps the one that it has.
  for (const part of ['ca', 'cert', 'key'] as const) {
    const text = await readFile(sources[part], 'utf8');
    if (text === (await textOf(targets[part]))) continue;
    await writeFileAtomically(account, targets[part], text);
    changed = true;
  }
  return changed;
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}
