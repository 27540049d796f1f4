import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** It lies beside its authority and is lost together with it: a shorter life would only be an outage to come. */
const ROUTER_DAYS = AUTHORITY_DAYS;
/** Short enough that renewing is practised, long enough that a quarter's delay breaks nothing. */
const MACHINE_DAYS = 397;

/** A certificate with its private key, in PEM. */
export interface CertifiedKey {
  readonly cert: string;
  readonly key: string;
}

/** A new authority of one cluster: whoever has a certificate of it belongs to that cluster, and to no other. */
export async function createAuthority(cluster: string, nowMs: number): Promise<CertifiedKey> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `O=Understudy, CN=cluster ${cluster}`,
    ...life(nowMs, AUTHORITY_DAYS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return inPem(certificate, keys.privateKey);
}

/** A router's certificate for these host names and addresses. The first name is its common name. */
export async function issueCertificate(authority: CertifiedKey, names: readonly string[], nowMs: number): Promise<CertifiedKey> {
  return issue(authority, { subject: `CN=${names[0] ?? 'localhost'}`, names, days: ROUTER_DAYS }, nowMs);
}

/**
 * A certificate for one machine, as server and as client, valid for its address and for the machine itself. It has no common name: etcd's JSON
 * gateway refuses client certificates that have one.
 */
export async function issueMachineCertificate(authority: CertifiedKey, address: string, nowMs: number): Promise<CertifiedKey> {
  const names = [...new Set([address, 'localhost', '127.0.0.1', '::1'])];
  return issue(authority, { subject: `O=Understudy, OU=${address}`, names, days: MACHINE_DAYS }, nowMs);
}

/** Host names and addresses that a certificate is good for. */
export function namesOf(cert: string): ReadonlySet<string> {
  const extension = new X509Certificate(cert).getExtension(SubjectAlternativeNameExtension);
  return new Set(extension?.names.items.map(item => item.value) ?? []);
}

interface Wish {
  readonly subject: string;
  readonly names: readonly string[];
  readonly days: number;
}

async function issue(authority: CertifiedKey, { subject, names, days }: Wish, nowMs: number): Promise<CertifiedKey> {
  const ca = new X509Certificate(authority.cert);
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: ca.subject,
    ...life(nowMs, days),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), ALGORITHM, false, ['sign']),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  return inPem(certificate, keys.privateKey);
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

/** A day back: clocks of machines differ. */
function life(nowMs: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** Positive, and never two alike. */
function serialNumber(): string {
  return randomBytes(16).toString('hex').replace(/^./, '5');
}

async function inPem(certificate: X509Certificate, key: webcrypto.CryptoKey): Promise<CertifiedKey> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return { cert: `${certificate.toString('pem')}\n`, key: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n` };
}
