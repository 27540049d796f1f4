import { readFileSync } from 'node:fs';
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { join } from 'node:path';

/** Which of these nodes of etcd leads; `tlsDirectory`: where a machine's certificate is, null without TLS. Rejects when none says so. */
export async function etcdLeader(hosts: readonly string[], tlsDirectory: string | null): Promise<string> {
  return await Promise.any(
    hosts.map(async host => {
      const { header, leader } = await status(host, tlsDirectory);
      if (header.member_id !== leader) throw new Error('it follows');
      return host;
    }),
  );
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader: string;
}

function status(host: string, tlsDirectory: string | null): Promise<Status> {
  const options = { host, port: 2379, path: '/v3/maintenance/status', method: 'POST', timeout: 2000 };
  const file = (name: string): Buffer => readFileSync(join(tlsDirectory!, name));
  return new Promise((resolve, reject) => {
    const request = tlsDirectory
      ? secure({ ...options, ca: file('ca.crt'), cert: file('machine.crt'), key: file('machine.key') })
      : plain(options);
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('response', response => {
      let text = '';
      response.on('data', chunk => (text += String(chunk)));
      response.on('end', () => resolve(JSON.parse(text) as Status));
    });
    request.end('{}');
  });
}
