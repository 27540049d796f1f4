import { describe, expect, it } from 'vitest';
import {
  backend,
  errorResponse,
  type FrameHandler,
  FrameScanner,
  frontend,
  ProtocolError,
  readErrorFields,
  readStartup,
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

const RUNS = Number(process.env['UNDERSTUDY_FUZZ_RUNS'] ?? 20_000);

describe('mutated frames', () => {
  it(`are read or refused with ProtocolError, ${RUNS} times`, () => {
    const random = generator(42);
    const seen = { frames: 0, refused: 0 };
    const handler: FrameHandler = {
      onFrame: (_type, chunk, start, end) => {
        seen.frames += 1;
        const frame = chunk.subarray(start, end);
        for (const read of READERS) {
          try {
            read(frame);
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
          }
        }
      },
      onPart: () => undefined,
    };
    for (let run = 0; run < RUNS; run++) {
      const scanner = new FrameScanner(handler, { streamed: new Set([0x44, 0x64]), maxAssembledBytes: 1 << 16 });
      try {
        for (let i = 0; i < 3; i++) scanner.push(mutate(SEEDS[Math.floor(random() * SEEDS.length)] as Buffer, random));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        seen.refused += 1;
      }
    }
    expect(seen.frames).toBeGreaterThan(RUNS / 10);
    expect(seen.refused).toBeGreaterThan(RUNS / 100);
  });
});
