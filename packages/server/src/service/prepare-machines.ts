import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { createSecrets } from '../supervisor/secrets.ts';
import { createAuthority, issueMachineCertificate, type CertifiedKey } from '../certificates/authority.ts';
import { addressesOf, filesOf, type Layout } from './machine-files.ts';

/**
 * Writes a directory for each address, and one for the authority. `new`: the directory must hold no authority yet. `renew`: authority and secrets stay,
 * and every machine gets a new certificate. `superuserRole`: of new secrets. Returns the addresses. Throws `not-our-directory`, `no-cluster`.
 */
export async function prepareMachines(
  directory: string,
  layout: Layout,
  how: 'new' | 'renew',
  superuserRole?: string,
): Promise<readonly string[]> {
  const files = { cert: join(directory, 'ca', 'ca.crt'), key: join(directory, 'ca', 'ca.key') };
  const secrets = join(directory, 'ca', 'secrets.json');
  const exists = existsSync(files.key);
  if (how === 'new' && exists) throw new UnderstudyError('not-our-directory', { path: directory });
  if (how === 'renew' && !exists) throw new UnderstudyError('no-cluster', { path: directory });
  makePrivate(join(directory, 'ca'));
  const authority = exists ? readPair(files) : await createAuthority(layout.cluster, Date.now());
  if (!exists) {
    writeSecret(files.key, authority.key);
    writeFileSync(files.cert, authority.cert);
    createSecrets(secrets, superuserRole);
  }
  const addresses = addressesOf(layout);
  for (const address of addresses) {
    const machine = join(directory, address);
    makePrivate(machine);
    const { cert, key } = await issueMachineCertificate(authority, address, Date.now());
    writeFileSync(join(machine, 'ca.crt'), authority.cert);
    writeFileSync(join(machine, 'machine.crt'), cert);
    writeSecret(join(machine, 'machine.key'), key);
    writeSecret(join(machine, 'secrets.json'), readFileSync(secrets, 'utf8'));
    for (const [name, text] of filesOf(layout, address)) writeFileSync(join(machine, name), text);
  }
  return addresses;
}

function readPair({ cert, key }: { cert: string; key: string }): CertifiedKey {
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

function makePrivate(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o700);
}

function writeSecret(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
}
