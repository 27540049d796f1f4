import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backend, backend, type FrameHandler, FrameScanner, frontend, ProtocolError } from '../src/index.ts';

const STREAMED: ReadonlySet<number> = new Set([Backend.dataRow, Backend.copyData]);

/** Puts the parts of streamed frames together again, so that runs with different splits can be compared. */
class Collector implements FrameHandler {
  readonly frames: string[] = [];
  #parts: Buffer[] = [];

  onFrame(type: number, chunk: Buffer, start: number, end: number): void {
    expect(this.#parts).toHaveLength(0);
    expect(chunk[start]).toBe(type);
    this.frames.push(chunk.toString('hex', start, end));
  }

  onPart(type: number, chunk: Buffer, start: number, end: number, last: boolean): void {
    this.#parts.push(chunk.subarray(start, end));
    if (!last) return;
    const whole = Buffer.concat(this.#parts);
    expect(whole[0]).toBe(type);
    this.frames.push(whole.toString('hex'));
    this.#parts = [];
  }
}

function scan(chunks: readonly Buffer[], maxAssembledBytes = 1 << 20, streamedFromBytes = 0): { frames: string[]; atBoundary: boolean } {
  const collector = new Collector();
  const scanner = new FrameScanner(collector, { streamed: STREAMED, streamedFromBytes, maxAssembledBytes });
  for (const chunk of chunks) scanner.push(chunk);
  return { frames: collector.frames, atBoundary: scanner.atBoundary };
}

function cut(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map(c => c % (stream.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let at = 0;
  for (const place of [...places, stream.length]) {
    chunks.push(stream.subarray(at, place));
    at = place;
  }
  return chunks;
}

const anyFrame = fc.tuple(fc.constantFrom(...Object.values(Backend)), fc.uint8Array({ maxLength: 40 })).map(([type, body]) => {
  const frame = Buffer.alloc(5 + body.length);
  frame[0] = type;
  frame.writeInt32BE(4 + body.length, 1);
  frame.set(body, 5);
  return frame;
});

describe('FrameScanner', () => {
  it('finds the same frames however the stream is split', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 12 }),
        fc.array(fc.nat(500), { maxLength: 30 }),
        fc.nat(40),
        (frames, cuts, streamedFrom) => {
          const found = scan(cut(Buffer.concat(frames), cuts), 1 << 20, streamedFrom);
          expect(found.frames).toEqual(frames.map(f => f.toString('hex')));
          expect(found.atBoundary).toBe(true);
        },
      ),
      { seed: 1, numRuns: 1000 },
    );
  });

  it('finds the same frames byte by byte', () => {
    const frames = [frontend.query('select 1'), frontend.SYNC, backend.dataRow(['a', null, 'bc']), backend.READY.I];
    const stream = Buffer.concat(frames);
    expect(scan([...stream].map(byte => Buffer.of(byte))).frames).toEqual(frames.map(f => f.toString('hex')));
  });

  it('streams a row from the given size on, and hands on smaller ones whole', () => {
    const rows = [backend.dataRow(['x'.repeat(80)]), backend.dataRow(['y'.repeat(200)])] as const;
    const handler = { seen: [] as string[], onFrame: () => handler.seen.push('whole'), onPart: () => handler.seen.push('part') };
    const scanner = new FrameScanner(handler, { streamed: STREAMED, streamedFromBytes: rows[1].length, maxAssembledBytes: 1000 });
    for (const row of rows) for (const half of [row.subarray(0, 50), row.subarray(50)]) scanner.push(half);
    expect(handler.seen).toEqual(['whole', 'part', 'part']);
    for (const row of rows) for (const piece of [row.subarray(0, 3), row.subarray(3)]) scanner.push(piece);
    expect(handler.seen.slice(3)).toEqual(['whole', 'part', 'part']);
  });

  it('does not copy a frame that lies in one chunk', () => {
    const chunk = Buffer.concat([backend.READY.I, backend.dataRow(['x'])]);
    const seen: Buffer[] = [];
    const handler: FrameHandler = { onFrame: (_type, from) => seen.push(from), onPart: () => expect.unreachable() };
    new FrameScanner(handler, { streamed: STREAMED, streamedFromBytes: 0, maxAssembledBytes: 100 }).push(chunk);
    expect(seen).toEqual([chunk, chunk]);
    expect(seen.every(from => from.buffer === chunk.buffer)).toBe(true);
  });

  it('refuses impossible lengths and frames over the limit, but streams rows of any size', () => {
    const header = (type: number, length: number): Buffer => {
      const b = Buffer.alloc(5);
      b[0] = type;
      b.writeInt32BE(length, 1);
      return b;
    };
    expect(() => scan([header(Backend.readyForQuery, 3)])).toThrow(ProtocolError);
    expect(() => scan([header(Backend.readyForQuery, -1)])).toThrow(ProtocolError);
    expect(() => scan([header(Backend.errorResponse, 0x7fffffff)])).toThrow(ProtocolError);
    expect(() => scan([header(Backend.errorResponse, 1000)], 999)).toThrow(/over the limit/);
    expect(scan([header(Backend.dataRow, 1 << 25), Buffer.alloc(1 << 20)], 999).atBoundary).toBe(false);
  });
});
