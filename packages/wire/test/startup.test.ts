import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cancelRequest, GSSENC_REQUEST, negotiate, ProtocolError, readStartup, SSL_REQUEST, startupMessage } from '../src/index.ts';

const packet = (data: Buffer): unknown => {
  const read = readStartup(data);
  return read.kind === 'packet' ? read.packet : read.kind;
};

describe('the startup phase', () => {
  it('reads each kind of packet and says how many bytes it took', () => {
    const parameters = new Map([
      ['user', 'ann'],
      ['database', 'blog'],
    ]);
    expect(packet(SSL_REQUEST)).toEqual({ kind: 'ssl' });
    expect(packet(GSSENC_REQUEST)).toEqual({ kind: 'gssenc' });
    expect(packet(startupMessage(parameters, 2))).toEqual({ kind: 'startup', minor: 2, parameters });
    for (const bytes of [4, 32, 256]) {
      const key = { processId: 99, secret: Buffer.alloc(bytes, 5) };
      expect(packet(cancelRequest(key))).toEqual({ kind: 'cancel', key });
    }
    const read = readStartup(Buffer.concat([SSL_REQUEST, Buffer.from('more')]));
    expect(read).toMatchObject({ kind: 'packet', bytes: 8 });
  });

  it('waits for the rest of a packet, at every cut', () => {
    const whole = startupMessage(new Map([['user', 'ann']]));
    for (let n = 0; n < whole.length; n++) expect(packet(whole.subarray(0, n))).toBe('partial');
  });

  it('refuses what cannot be a startup packet as soon as that is certain', () => {
    expect(() => readStartup(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toThrow(/length of startup packet/);
    expect(() => readStartup(Buffer.from([0, 0, 0, 7, 0, 3, 0, 0]))).toThrow(ProtocolError);
    expect(() => readStartup(Buffer.from([0, 0, 0, 9, 0, 2, 0, 0]))).toThrow(/protocol 2\.0/);
    const unterminated = startupMessage(new Map([['user', 'ann']]));
    unterminated[unterminated.length - 1] = 1;
    expect(() => readStartup(unterminated)).toThrow(ProtocolError);
  });

  it('never crashes on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        try {
          readStartup(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { seed: 4, numRuns: 2000 },
    );
  });

  it('settles on 3.2 and names the options that it does not know', () => {
    const options = new Map([
      ['user', 'ann'],
      ['_pq_.grease', 'x'],
    ]);
    expect(negotiate(0, new Map())).toEqual({ minor: 0, unknownOptions: [], mustTell: false });
    expect(negotiate(2, new Map())).toEqual({ minor: 2, unknownOptions: [], mustTell: false });
    expect(negotiate(9999, options)).toEqual({ minor: 2, unknownOptions: ['_pq_.grease'], mustTell: true });
  });
});
