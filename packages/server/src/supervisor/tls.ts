import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Settings, UnderstudyError } from '@understudy/core/cluster';
import type { CertifiedKey } from '../certificates/authority.ts';
import type { TlsMaterial } from '../proxy/client-tls.ts';
import { writeDurably } from '../store/durable-file.ts';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/** Whether only this machine itself can connect there. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

const WILDCARD: ReadonlySet<string> = new Set(['0.0.0.0', '::', '*']);

/** What the router shows its clients; null when it offers no TLS. Throws `bad-certificate`. */
export async function tlsMaterial({ tls, host, cluster }: Settings, directory: string, nowMs: number): Promise<TlsMaterial | null> {
  const { mode, cert, key, clientCa } = tls;
  const wanted = mode !== 'off' && (mode !== 'auto' || cert !== null || clientCa !== null || !isLoopback(host));
  if (!wanted) return null;
  const own: CertifiedKey =
    cert !== null && key !== null ? { cert: read(cert), key: read(key) } : await generated(directory, cluster, host, nowMs);
  const material = { ...own, clientCa: clientCa === null ? null : read(clientCa), required: mode === 'require' };
  try {
    createSecureContext({ cert: material.cert, key: material.key, ...(material.clientCa === null ? {} : { ca: material.clientCa }) });
  } catch (error) {
    throw new UnderstudyError('bad-certificate', { path: cert ?? directory, why: (error as Error).message }, { cause: error });
  }
  return material;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UnderstudyError('bad-certificate', { path, why: (error as Error).message }, { cause: error });
  }
}

/** The certificate of the cluster's own authority: made once, and anew when the machine goes by another name. */
async function generated(directory: string, cluster: string, host: string, nowMs: number): Promise<CertifiedKey> {
  const { createAuthority, issueCertificate, namesOf } = await import('../certificates/authority.ts');
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true });
  // The authority's certificate is for clients to copy; the keys beside it have mode 0600.
  chmodSync(directory, 0o755);
  const authority = await kept(
    directory,
    'ca',
    () => true,
    () => createAuthority(cluster, nowMs),
  );
  const names = ownNames(host);
  return kept(
    directory,
    'server',
    cert => isSubset(names, namesOf(cert)),
    () => issueCertificate(authority, names, nowMs),
  );
}

async function kept(
  directory: string,
  name: string,
  fits: (cert: string) => boolean,
  make: () => Promise<CertifiedKey>,
): Promise<CertifiedKey> {
  const [certPath, keyPath] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  if (existsSync(certPath) && existsSync(keyPath)) {
    const found = { cert: read(certPath), key: read(keyPath) };
    try {
      if (fits(found.cert)) return found;
    } catch (error) {
      throw new UnderstudyError('bad-certificate', { path: certPath, why: (error as Error).message }, { cause: error });
    }
  }
  const made = await make();
  writeDurably(keyPath, made.key, 0o600);
  writeDurably(certPath, made.cert, 0o644);
  return made;
}

function isSubset(wanted: readonly string[], found: ReadonlySet<string>): boolean {
  return wanted.every(name => found.has(name));
}

/** By which a client may call this machine. */
function ownNames(host: string): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap(list =>
    (list ?? []).filter(a => a.scopeid === undefined || a.scopeid === 0),
  );
  const names = ['localhost', hostname(), '127.0.0.1', '::1', ...addresses.map(({ address }) => address)];
  if (!WILDCARD.has(host)) names.push(host);
  return [...new Set(names)];
}
