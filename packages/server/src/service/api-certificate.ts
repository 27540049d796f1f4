import { createSecureContext } from 'node:tls';
import { UnderstudyError } from '@understudy/core/cluster';
import type { ApiServer, ApiTls } from '../api/index.ts';
import { readTls, type TlsFiles } from './settings.ts';

/** As often as PostgreSQL's own is looked at: it is the same certificate. */
const LOOK_INTERVAL_MS = 10_000;

/** The certificate that the API shows. Throws `bad-config`. */
export function apiTls(files: TlsFiles): ApiTls {
  const { cert, key } = readTls(files);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new UnderstudyError('bad-config', { path: files.cert, why: (error as Error).message }, { cause: error });
  }
  return { cert, key };
}

/** Shows a renewed certificate to those who connect from then on. One that cannot be read, or is no certificate, is told to `warn`. Returns the end of it. */
export function followApiCertificate(
  api: Pick<ApiServer, 'useTls'>,
  files: TlsFiles,
  shown: ApiTls,
  warn: (message: string) => void,
): () => void {
  let last = shown;
  let told = '';
  const timer = setInterval(() => {
    try {
      const now = apiTls(files);
      if (now.cert === last.cert && now.key === last.key) return;
      api.useTls(now);
      last = now;
      told = '';
    } catch (error) {
      const why = (error as Error).message;
      if (why !== told) warn(`The API goes on with its certificate as it was: ${why}`);
      told = why;
    }
  }, LOOK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
