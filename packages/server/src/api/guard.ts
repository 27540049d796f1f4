import { createHash, timingSafeEqual } from 'node:crypto';
import { UnderstudyError } from '@understudy/core/cluster';
import type { MiddlewareHandler } from 'hono';

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Whether an address to listen on can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/**
 * A page of another site can point its own name at 127.0.0.1 and then read our answers as its own (DNS rebinding); the Host header
 * still has that name. Health checks of HTTP/1.0 send none, which no browser can do.
 */
export function refuseForeignHosts(listenHost: string): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header('host');
    if (isLoopback(listenHost) && host !== undefined) {
      const name = host.replace(/:\d+$/, '').toLowerCase();
      if (!LOOPBACK_NAMES.has(name) && name !== listenHost) throw new UnderstudyError('cross-site', { why: `host ${name}` });
    }
    await next();
  };
}

/** Requests that change something must not come from another site's page. Programs send neither of these headers. */
export function refuseCrossSite(): MiddlewareHandler {
  return async (c, next) => {
    const site = c.req.header('sec-fetch-site');
    if (site !== undefined && site !== 'same-origin' && site !== 'none')
      throw new UnderstudyError('cross-site', { why: `Sec-Fetch-Site ${site}` });
    const origin = c.req.header('origin');
    if (origin !== undefined && hostOf(origin) !== c.req.header('host')?.toLowerCase()) {
      throw new UnderstudyError('cross-site', { why: `Origin ${origin}` });
    }
    await next();
  };
}

function hostOf(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null;
  }
}

export function requireToken(token: string): MiddlewareHandler {
  return async (c, next) => {
    const given = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (given === undefined || !equalInConstantTime(given, token)) throw new UnderstudyError('bad-token');
    await next();
  };
}

/** Compares digests, so that neither the length nor the first wrong letter can be learned from the time it takes. */
function equalInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
