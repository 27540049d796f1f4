import { describe, expect, test } from 'vitest';
import { walEnd, type WalEndInputs } from '../../src/postgres/wal-end.ts';

const streaming: WalEndInputs = {
  receiveLsn: 200n,
  replayLsn: 150n,
  replayTimeline: 1,
  receivedTimeline: 1,
  startupWaitsForWal: false,
  newestTimeline: 1,
};

describe('walEnd', () => {
  test('is the received position while WAL streams in', () => {
    expect(walEnd(streaming)).toEqual({ timeline: 1, lsn: 200n });
  });

  test('is unknown after a restart, as long as local WAL is replayed', () => {
    expect(walEnd({ ...streaming, receiveLsn: null, receivedTimeline: null })).toBeNull();
  });

  test('is the replayed position once the startup process waits for more', () => {
    expect(walEnd({ ...streaming, receiveLsn: null, receivedTimeline: null, startupWaitsForWal: true })).toEqual({
      timeline: 1,
      lsn: 150n,
    });
  });

  test('is the replayed position when streaming began anew at the start of a segment', () => {
    expect(walEnd({ ...streaming, receiveLsn: 100n })).toEqual({ timeline: 1, lsn: 150n });
  });

  test('lies on the received timeline, which may be newer than the replayed one', () => {
    expect(walEnd({ ...streaming, receivedTimeline: 2, newestTimeline: 2 })).toEqual({ timeline: 2, lsn: 200n });
  });

  test('is unknown without a walreceiver while WAL of an unknown timeline waits to be replayed', () => {
    const alone = { ...streaming, receivedTimeline: null };
    expect(walEnd({ ...alone, newestTimeline: 2 })).toBeNull();
    expect(walEnd(alone)).toEqual({ timeline: 1, lsn: 200n });
    expect(walEnd({ ...alone, newestTimeline: 2, replayLsn: 200n, replayTimeline: 2 })).toEqual({ timeline: 2, lsn: 200n });
  });

  test('is unknown before anything was replayed', () => {
    expect(walEnd({ ...streaming, replayLsn: null })).toBeNull();
  });
});
