import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  deriveKeys,
  formatVerifier,
  makeVerifier,
  ProtocolError,
  parseVerifier,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
  ScramClient,
  type ScramCredential,
  type ScramOutcome,
  type ScramSecret,
  ScramServer,
} from '../src/index.ts';

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const verifier = makeVerifier('pencil', SALT, 4096);
const real: ScramSecret = { kind: 'verifier', verifier };

function exchange(credential: ScramCredential, secret: ScramSecret): { outcome: ScramOutcome; client: ScramClient } {
  const client = new ScramClient(credential, randomBytes(18).toString('base64'));
  const server = new ScramServer(secret, randomBytes(18).toString('base64'), null);
  const outcome = server.verify(client.respond(server.challenge(SCRAM_SHA_256, client.first())));
  return { outcome, client };
}

describe('SCRAM-SHA-256', () => {
  it('computes the example of RFC 7677', () => {
    // RFC 7677 §3; its client sends n=user, which PostgreSQL allows and ignores.
    const server = new ScramServer(real, '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0', null);
    const challenge = server.challenge(SCRAM_SHA_256, Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'));
    expect(challenge.toString()).toBe('r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096');
    const outcome = server.verify(
      Buffer.from('c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='),
    );
    expect(outcome.kind === 'accepted' && outcome.final.toString()).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  it('lets the right password in and proves the server', () => {
    const { outcome, client } = exchange({ kind: 'password', password: 'pencil' }, real);
    if (outcome.kind !== 'accepted') throw new Error('refused');
    expect(() => client.finish(outcome.final)).not.toThrow();
    expect(outcome.keys.clientKey).toEqual(deriveKeys('pencil', SALT, 4096).clientKey);
  });

  it('logs in with the recovered key alone', () => {
    const first = exchange({ kind: 'password', password: 'pencil' }, real).outcome;
    if (first.kind !== 'accepted') throw new Error('refused');
    const second = exchange({ kind: 'keys', keys: first.keys }, real);
    if (second.outcome.kind !== 'accepted') throw new Error('refused');
    const { final } = second.outcome;
    expect(() => second.client.finish(final)).not.toThrow();
  });

  it('refuses a wrong password, and every password of a mock', () => {
    expect(exchange({ kind: 'password', password: 'pencils' }, real).outcome.kind).toBe('refused');
    expect(exchange({ kind: 'password', password: 'pencil' }, { kind: 'mock', salt: SALT }).outcome.kind).toBe('refused');
  });

  it('notices a server that does not know the secret', () => {
    const { outcome, client } = exchange(
      { kind: 'password', password: 'pencil' },
      { kind: 'verifier', verifier: { ...verifier, serverKey: Buffer.alloc(32) } },
    );
    if (outcome.kind !== 'accepted') throw new Error('refused');
    expect(() => client.finish(outcome.final)).toThrow(/does not know the secret/);
  });

  it('refuses a nonce that is not its own, malformed messages and absurd iteration counts', () => {
    const client = new ScramClient({ kind: 'password', password: 'pencil' }, 'abcdef');
    expect(() => client.respond(Buffer.from('r=abcdefX,s=QQ==,i=4096'))).toThrow(/out of order/);
    client.first();
    expect(() => client.respond(Buffer.from('r=xyz,s=QQ==,i=4096'))).toThrow(/nonce/);
    expect(() => client.respond(Buffer.from('r=abcdefX,s=QQ==,i=999999999'))).toThrow(/iteration/);
    const server = new ScramServer(real, 'srv', null);
    expect(() => server.challenge('PLAIN', Buffer.from('n,,n=,r=a'))).toThrow(ProtocolError);
    expect(() => server.challenge(SCRAM_SHA_256, Buffer.from('nonsense'))).toThrow(ProtocolError);
    expect(() => server.verify(Buffer.from('c=biws,r=asrv,p=AAAA'))).toThrow(ProtocolError);
  });

  it('binds to the TLS channel, and notices when the offer was taken away', () => {
    const certificateHash = Buffer.alloc(32, 3);
    expect(ScramServer.mechanisms(certificateHash)).toEqual([SCRAM_SHA_256_PLUS, SCRAM_SHA_256]);
    const downgraded = new ScramServer(real, 'srv', certificateHash);
    expect(() => downgraded.challenge(SCRAM_SHA_256, Buffer.from('y,,n=,r=abc'))).toThrow(/negotiation/);
    const bound = new ScramServer(real, 'srv', certificateHash);
    bound.challenge(SCRAM_SHA_256_PLUS, Buffer.from('p=tls-server-end-point,,n=,r=abc'));
    const wrong = Buffer.concat([Buffer.from('p=tls-server-end-point,,'), Buffer.alloc(32, 4)]).toString('base64');
    expect(() => bound.verify(Buffer.from(`c=${wrong},r=abcsrv,p=${Buffer.alloc(32).toString('base64')}`))).toThrow(/binding check/);
  });

  it('reads and writes the stored form, and nothing else', () => {
    expect(parseVerifier(formatVerifier(verifier))).toEqual(verifier);
    for (const bad of ['', 'md5abc', 'SCRAM-SHA-256$4096:QQ==$QQ==:QQ==', 'SCRAM-SHA-256$0:x$y:z']) expect(parseVerifier(bad)).toBeNull();
  });
});
