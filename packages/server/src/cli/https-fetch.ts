import { request } from 'node:https';
import { Readable } from 'node:stream';

/** The part of `fetch` that the API's client needs. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

export interface FetchInit {
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Statuses whose answers have no body, not even an empty one. */
const NO_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** `fetch` that trusts this authority (in PEM) and no other: the one of Node.js takes those of the system only. */
export function fetchTrusting(ca: string): Fetch {
  return (url, { method = 'GET', headers, body, signal }) => {
    if (!url.startsWith('https:')) return fetch(url, { method, headers, ...(body === undefined ? {} : { body }), signal });
    return new Promise((resolve, reject) => {
      const asking = request(url, { method, headers, ca, signal }, answer => {
        const status = answer.statusCode ?? 0;
        // What a page may read of the body is no matter here: both are streams of bytes.
        const stream = NO_BODY.has(status) ? null : (Readable.toWeb(answer) as unknown as ReadableStream<Uint8Array>);
        resolve(new Response(stream, { status, headers: { 'content-type': answer.headers['content-type'] ?? '' } }));
      });
      asking.once('error', error => reject(signal.aborted ? signal.reason : error));
      asking.end(body);
    });
  };
}
