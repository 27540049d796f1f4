import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import 'reflect-metadata';
import {
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

/** A certificate with its private key, in PEM. */
export interface CertifiedKey {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Authority and certificates lie side by side and are lost together: a shorter life would only be an outage to come. */
const LIFE_YEARS = 10;
const DAY_MS = 86_400_000;
const serialNumber = (): string => randomBytes(16).toString('hex').replace(/^./, '5');

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

async function certified(certificate: X509Certificate, key: webcrypto.CryptoKey): Promise<CertifiedKey> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return { cert: `${certificate.toString('pem')}\n`, key: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n` };
}

/** A day back: clocks of clients differ. */
function life(nowMs: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + LIFE_YEARS * 365 * DAY_MS) };
}

/** An authority that signs the certificates of one cluster. */
export async function createAuthority(cluster: string, nowMs: number): Promise<CertifiedKey> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Understudy cluster ${cluster}`,
    ...life(nowMs),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return certified(certificate, keys.privateKey);
}

/** A certificate for these host names and addresses, good for both ends of TLS. The first name is its common name. */
export async function issueCertificate(authority: CertifiedKey, names: readonly string[], nowMs: number): Promise<CertifiedKey> {
  const keys = await newKeys();
  const signingKey = await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), ALGORITHM, false, ['sign']);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${names[0] ?? 'localhost'}`,
    issuer: new X509Certificate(authority.cert).subject,
    ...life(nowMs),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names.map(name => ({ type: isIP(name) > 0 ? 'ip' : 'dns', value: name }))),
    ],
  });
  return certified(certificate, keys.privateKey);
}

/** Host names and addresses that a certificate is good for. */
export function namesOf(cert: string): ReadonlySet<string> {
  const extension = new X509Certificate(cert).getExtension(SubjectAlternativeNameExtension);
  return new Set(extension?.names.items.map(item => item.value) ?? []);
}
