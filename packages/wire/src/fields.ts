import { MessageReader, MessageWriter } from './bytes.ts';
import { HEADER_BYTES } from './frames.ts';
import { Backend } from './types.ts';

/**
 * Fields of ErrorResponse and NoticeResponse.
 * Source: https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
export interface ErrorFields {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'DEBUG' | 'INFO' | 'LOG';
  /** SQLSTATE, five characters. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

const SEVERITY = 0x56;
const CODE = 0x43;
const MESSAGE = 0x4d;
const DETAIL = 0x44;
const HINT = 0x48;

/** Reads the fields that a proxy acts upon; the others are left alone. Throws ProtocolError on a truncated message. */
export function readErrorFields(frame: Buffer, start = 0, end: number = frame.length): ErrorFields {
  const r = new MessageReader(frame, start + HEADER_BYTES, end);
  const found = new Map<number, string>();
  for (let field = r.byte(); field !== 0; field = r.byte()) found.set(field, r.cstring());
  // The localized severity stands in for servers before 9.6, which send no V.
  const severity = (found.get(SEVERITY) ?? found.get(0x53) ?? 'ERROR') as ErrorFields['severity'];
  const detail = found.get(DETAIL);
  const hint = found.get(HINT);
  return {
    severity,
    code: found.get(CODE) ?? 'XX000',
    message: found.get(MESSAGE) ?? '',
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  };
}

export function errorResponse(fields: ErrorFields): Buffer {
  return writeFields(Backend.errorResponse, fields);
}

export function noticeResponse(fields: ErrorFields): Buffer {
  return writeFields(Backend.noticeResponse, fields);
}

/** Zero bytes would end a field early; a message made of foreign text may hold them. */
const clean = (text: string): string => text.replaceAll('\0', '\uFFFD');

function writeFields(type: number, fields: ErrorFields): Buffer {
  const w = new MessageWriter();
  w.byte(0x53).cstring(fields.severity).byte(SEVERITY).cstring(fields.severity);
  w.byte(CODE).cstring(fields.code).byte(MESSAGE).cstring(clean(fields.message));
  if (fields.detail !== undefined) w.byte(DETAIL).cstring(clean(fields.detail));
  if (fields.hint !== undefined) w.byte(HINT).cstring(clean(fields.hint));
  return w.byte(0).frame(type);
}
