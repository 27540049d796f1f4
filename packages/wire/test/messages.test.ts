import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backend, errorResponse, frontend, noticeResponse, ProtocolError, readErrorFields } from '../src/index.ts';

const text = fc.string({ unit: 'binary' }).map(s => s.replaceAll('\0', ''));
/** Names travel as latin1: one character a byte. */
const name = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map(c => String.fromCharCode(c)) });

describe('frontend messages', () => {
  it('reads what it writes', () => {
    fc.assert(
      fc.property(text, name, name, fc.array(fc.nat()), fc.nat(), (sql, statement, portal, types, maxRows) => {
        expect(frontend.readQuery(frontend.query(sql))).toBe(sql);
        expect(frontend.readParse(frontend.parse(statement, sql, types))).toEqual({ name: statement, text: sql, parameterTypes: types });
        expect(frontend.readBindTarget(frontend.bind(portal, statement, ['1', null]))).toEqual({ portal, statement });
        for (const kind of ['statement', 'portal'] as const) {
          expect(frontend.readNamedTarget(frontend.describe({ kind, name: statement }))).toEqual({ kind, name: statement });
          expect(frontend.readNamedTarget(frontend.close({ kind, name: portal }))).toEqual({ kind, name: portal });
        }
        expect(frontend.readExecute(frontend.execute(portal, maxRows))).toEqual({ portal, maxRows });
      }),
      { seed: 2 },
    );
  });

  it('renames statements and leaves the rest of the message as it came', () => {
    fc.assert(
      fc.property(name, name, name, text, (portal, before, after, value) => {
        const parse = frontend.parse(before, value, [23]);
        expect(frontend.parseWithTail(after, parse.subarray(parse.indexOf(0, 5) + 1))).toEqual(frontend.parse(after, value, [23]));
        const chunk = Buffer.concat([frontend.SYNC, frontend.bind(portal, before, [value, null])]);
        const [start, end] = [frontend.SYNC.length, chunk.length];
        const head = frontend.renamedBindHead(chunk, start, end, after);
        const renamed = Buffer.concat([head, chunk.subarray(frontend.bindTailStart(chunk, start, end), end)]);
        expect(renamed).toEqual(frontend.bind(portal, after, [value, null]));
      }),
      { seed: 3 },
    );
  });

  it('refuses strings that would end early', () => {
    expect(() => frontend.query('select 1\0; drop table t')).toThrow(ProtocolError);
    expect(() => frontend.parse('a\0b', 'select 1')).toThrow(ProtocolError);
  });
});

describe('backend messages', () => {
  it('reads what it writes', () => {
    expect(backend.readReadyForQuery(backend.READY.T)).toBe('T');
    expect(backend.readCommandTag(backend.commandComplete('INSERT 0 1'))).toBe('INSERT 0 1');
    expect(backend.readParameterStatus(backend.parameterStatus('TimeZone', 'UTC'))).toEqual({ name: 'TimeZone', value: 'UTC' });
    expect(backend.readDataRow(backend.dataRow(['a', null, 'ü']))).toEqual(['a', null, 'ü']);
    expect(backend.readAuthentication(backend.authenticationSasl(['A', 'B']))).toEqual({ kind: 'sasl', mechanisms: ['A', 'B'] });
    expect(backend.readAuthentication(backend.AUTHENTICATION_OK)).toEqual({ kind: 'ok' });
    const key = { processId: 7, secret: Buffer.alloc(32, 9) };
    expect(backend.readBackendKeyData(backend.backendKeyData(key))).toEqual(key);
  });

  it('refuses what is shorter than it says', () => {
    expect(() => backend.readDataRow(backend.dataRow(['abc']).subarray(0, 12))).toThrow(ProtocolError);
    expect(() => backend.readBackendKeyData(backend.backendKeyData({ processId: 1, secret: Buffer.alloc(3) }))).toThrow(ProtocolError);
    expect(() => backend.readReadyForQuery(Buffer.from('Z\0\0\0\x05X', 'latin1'))).toThrow(ProtocolError);
  });

  it('writes and reads error fields', () => {
    const fields = { severity: 'ERROR', code: '08007', message: 'outcome unknown', detail: 'd', hint: 'h' } as const;
    expect(readErrorFields(errorResponse(fields))).toEqual(fields);
    expect(readErrorFields(noticeResponse({ severity: 'WARNING', code: '01000', message: 'a\0b' })).message).toBe('a\uFFFDb');
    expect(() => readErrorFields(errorResponse(fields).subarray(0, 20))).toThrow(ProtocolError);
  });
});
