import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, createApi, serveApi } from '../../src/api/index.ts';
import { type CertifiedKey, createAuthority, issueMachineCertificate } from '../../src/certificates/authority.ts';
import type { TlsFiles } from '../../src/service/settings.ts';
import { RecordedCluster } from '../api/facade.ts';

/** The API of a recorded cluster as HTTPS on a port of this machine, with the files of its certificate as `understudy init` writes them. */
export class HttpsApi {
  readonly cluster: RecordedCluster = new RecordedCluster();
  readonly server: ApiServer;
  readonly authority: CertifiedKey;
  readonly files: TlsFiles;
  readonly #directory: string;

  private constructor(server: ApiServer, cluster: RecordedCluster, authority: CertifiedKey, directory: string) {
    this.server = server;
    this.cluster = cluster;
    this.authority = authority;
    this.#directory = directory;
    this.files = filesIn(directory);
  }

  static async start(): Promise<HttpsApi> {
    const authority = await createAuthority('main', Date.now());
    const machine = await issueMachineCertificate(authority, '127.0.0.1', Date.now());
    const directory = mkdtempSync(join(tmpdir(), 'understudy-https-'));
    const { ca, cert, key } = filesIn(directory);
    writeFileSync(ca, authority.cert);
    writeFileSync(cert, machine.cert);
    writeFileSync(key, machine.key);
    const cluster = new RecordedCluster();
    const app = createApi(cluster, { host: '127.0.0.1', dashboardDirectory: null, version: '0' });
    return new HttpsApi(await serveApi(app, { host: '127.0.0.1', port: 0 }, machine), cluster, authority, directory);
  }

  get url(): string {
    return `https://127.0.0.1:${this.server.port}`;
  }

  /** A new certificate of the same authority lies where the old one lay. */
  async renew(): Promise<string> {
    const machine = await issueMachineCertificate(this.authority, '127.0.0.1', Date.now());
    writeFileSync(this.files.cert, machine.cert);
    writeFileSync(this.files.key, machine.key);
    return machine.cert;
  }

  async close(): Promise<void> {
    await this.server.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function filesIn(directory: string): TlsFiles {
  return { ca: join(directory, 'ca.crt'), cert: join(directory, 'machine.crt'), key: join(directory, 'machine.key') };
}
