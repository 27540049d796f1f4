/** One message of a stream of server-sent events (HTML Standard, section 9.2.6). */
export interface SseMessage {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** A message longer than this is a defect of the sender; it ends the stream. Characters. */
const MESSAGE_MAX = 1_000_000;

/**
 * Takes the text of a stream as it comes, in pieces of any size. The browser's own EventSource cannot be asked to begin further back than
 * now, nor does it tell why a connection failed.
 */
export class SseParser {
  #rest = '';

  /** The messages that are complete with this piece. Throws RangeError when one is too long. */
  push(text: string): readonly SseMessage[] {
    const blocks = (this.#rest + text).replaceAll('\r\n', '\n').split('\n\n');
    this.#rest = blocks.pop() ?? '';
    if (this.#rest.length > MESSAGE_MAX) throw new RangeError('a message of the event stream is too long');
    return blocks.map(messageOf).filter(message => message !== null);
  }
}

function messageOf(block: string): SseMessage | null {
  let id: string | null = null;
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === 'id') id = value;
    else if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 ? null : { id, event, data: data.join('\n') };
}
