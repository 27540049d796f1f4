import { get as getPlain } from 'node:http';
import { get as getEncrypted } from 'node:https';
import { type Address, addressName } from '@understudy/core/routing';

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** How an API is asked: plain HTTP, or HTTPS with the authorities (in PEM) whose certificates are believed; none named: those that Node.js trusts. */
export type ApiTransport = { readonly kind: 'http' } | { readonly kind: 'https'; readonly ca: string | null };

/** GET of a JSON answer that keeps no process alive. Rejects unless the status is 200. */
export function getJson(
  { host, port }: Address,
  path: string,
  timeoutMs: number,
  transport: ApiTransport,
  signal?: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const get = transport.kind === 'https' ? getEncrypted : getPlain;
    const trust = transport.kind === 'https' && transport.ca !== null ? { ca: transport.ca } : {};
    const request = get({ host, port, path, timeout: timeoutMs, ...trust, ...(signal ? { signal } : {}) }, response => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > MAX_ANSWER_BYTES) request.destroy(new Error('the answer is too long'));
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${addressName({ host, port })}${path}: status ${response.statusCode}`));
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error);
        }
      });
    });
    request.on('socket', socket => socket.unref());
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}
