import { Log, type LogOptions } from '../log/log.ts';
import { eventLine } from './event-view.ts';
import type { Terminal } from './terminal.ts';

/** The log of this process on its stderr. Times for eyes are local. */
export function terminalLog(terminal: Terminal, options: LogOptions): Log {
  const zoneOffset = new Date().getTimezoneOffset();
  return new Log(options, {
    isTty: terminal.errIsTty,
    write: text => terminal.err(text),
    eventLine: event => eventLine(event, terminal.errColors, zoneOffset),
  });
}
