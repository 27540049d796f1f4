import { createSecureContext } from 'node:tls';
import { UnderstudyError } from '@understudy/core/cluster';
import type { ApiServer, ApiTls } from '../api/index.ts';
import { followFiles } from './follow-files.ts';
import { readTls, type TlsFiles } from './settings.ts';

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
  return followFiles(shown, {
    read: () => apiTls(files),
    take: tls => api.useTls(tls),
    warn: why => warn(`The API goes on with its certificate as it was: ${why}`),
  });
}
