import { describe, expect, it } from 'vitest';
import {
  backend,
  errorResponse,
  type FrameHandler,
  FrameScanner,
  frontend,
  makeVerifier,
  ProtocolError,
  readErrorFields,
  readStartup,
  SCRAM_SHA_256,
  ScramClient,
  ScramServer,
  startupMessage,
} from '../src/index.ts';

/** mulberry32: a small seeded generator, so that a failing run can be repeated. */
function generator(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const SEEDS: readonly Buffer[] = [
  frontend.query('select 1'),
  frontend.parse('s1', 'select $1::int', [23]),
  frontend.bind('p', 's1', ['1', null]),
  frontend.describe({ kind: 'portal', name: 'p' }),
  frontend.execute('p', 5),
  frontend.saslInitialResponse('SCRAM-SHA-256', Buffer.from('n,,n=,r=abc')),
  backend.authenticationSasl(['SCRAM-SHA-256']),
  backend.backendKeyData({ processId: 1, secret: Buffer.alloc(4) }),
  backend.parameterStatus('a', 'b'),
  backend.rowDescription(['a', 'b']),
  backend.dataRow(['x', null]),
  backend.commandComplete('SELECT 1'),
  backend.READY.I,
  errorResponse({ severity: 'ERROR', code: '42601', message: 'syntax error' }),
  startupMessage(new Map([['user', 'ann']])),
];

const READERS: readonly ((frame: Buffer) => unknown)[] = [
  frontend.readQuery,
  frontend.readParse,
  frontend.readBindTarget,
  frontend.readNamedTarget,
  frontend.readExecute,
  frontend.readSaslInitialResponse,
  frame => frontend.renamedBindHead(frame, 0, frame.length, 'other'),
  backend.readAuthentication,
  backend.readBackendKeyData,
  backend.readParameterStatus,
  backend.readReadyForQuery,
  backend.readCommandTag,
  backend.readDataRow,
  readErrorFields,
  readStartup,
];

function mutate(seed: Buffer, random: () => number): Buffer {
  const bytes = Buffer.from(seed);
  const changes = 1 + Math.floor(random() * 4);
  for (let i = 0; i < changes; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return random() < 0.3 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
}

/** `npm run fuzz` takes a million. */
const FRAMES = Number(process.env['UNDERSTUDY_FUZZ_FRAMES'] ?? 60_000);
const MAX_ASSEMBLED_BYTES = 1 << 16;

function refusedProperly(read: () => unknown): boolean {
  try {
    read();
    return false;
  } catch (error) {
    if (error instanceof ProtocolError) return true;
    throw error;
  }
}

describe('mutated frames', () => {
  it(`are read or refused with ProtocolError, ${FRAMES} of them, however they are cut`, { timeout: 600_000 }, () => {
    const random = generator(42);
    const seen = { frames: 0, refused: 0 };
    const handler: FrameHandler = {
      onFrame: (_type, chunk, start, end) => {
        seen.frames += 1;
        expect(end - start).toBeLessThanOrEqual(MAX_ASSEMBLED_BYTES);
        const frame = chunk.subarray(start, end);
        for (const read of READERS) refusedProperly(() => read(frame));
      },
      onPart: () => undefined,
    };
    const perStream = 4;
    for (let sent = 0; sent < FRAMES; sent += perStream) {
      const scanner = new FrameScanner(handler, {
        streamed: new Set([0x44, 0x64]),
        streamedFromBytes: 500,
        maxAssembledBytes: MAX_ASSEMBLED_BYTES,
      });
      const stream = Buffer.concat(
        Array.from({ length: perStream }, () => mutate(SEEDS[Math.floor(random() * SEEDS.length)] as Buffer, random)),
      );
      const cut = Math.floor(random() * stream.length);
      const refused = refusedProperly(() => {
        scanner.push(stream.subarray(0, cut));
        scanner.push(stream.subarray(cut));
      });
      if (refused) seen.refused += 1;
    }
    expect(seen.frames).toBeGreaterThan(FRAMES / 20);
    expect(seen.refused).toBeGreaterThan(FRAMES / 300);
  });

  it('of a login are accepted only unchanged', () => {
    const random = generator(7);
    const verifier = makeVerifier('pencil', Buffer.alloc(16, 1), 1);
    let accepted = 0;
    for (let run = 0; run < 2_000; run++) {
      const client = new ScramClient({ kind: 'password', password: 'pencil' }, 'abcdefghijkl');
      const server = new ScramServer({ kind: 'verifier', verifier }, 'mnopqrstuvwx', null);
      const first = client.first();
      refusedProperly(() => {
        const answer = client.respond(server.challenge(SCRAM_SHA_256, first));
        const changed = mutate(answer, random);
        const outcome = server.verify(changed);
        if (outcome.kind !== 'accepted') return;
        expect(changed).toEqual(answer);
        accepted += 1;
      });
    }
    // A mutation may put back the byte that was there.
    expect(accepted).toBeLessThan(40);
  });
});
