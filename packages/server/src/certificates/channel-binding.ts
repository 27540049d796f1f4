import { createHash } from 'node:crypto';
import 'reflect-metadata';
import { X509Certificate } from '@peculiar/x509';

/**
 * Data of SCRAM's channel binding tls-server-end-point (RFC 5929 §4.1): the certificate under the hash of its own signature, SHA-256 in place of
 * MD5 and SHA-1. Null where the signature has no hash of its own (Ed25519): no binding can be offered then.
 */
export function endPointBinding(pem: string): Buffer | null {
  const certificate = new X509Certificate(pem);
  const { hash } = certificate.signatureAlgorithm;
  if (hash === undefined) return null;
  const name = hash.name.replace('-', '').toLowerCase();
  return createHash(name === 'sha1' || name === 'md5' ? 'sha256' : name)
    .update(Buffer.from(certificate.rawData))
    .digest();
}
