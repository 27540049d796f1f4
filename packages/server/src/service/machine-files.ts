import { stringify } from 'yaml';
import { authority } from '../supervisor/ports.ts';

/** What runs where: one address for each etcd node, member and proxy; one machine may have several. */
export interface Layout {
  readonly cluster: string;
  readonly etcd: readonly string[];
  readonly members: readonly string[];
  readonly proxies: readonly string[];
  /** Where data goes on each machine. */
  readonly dataDirectory: string;
  readonly provider: 'embedded' | 'system';
}

/** The configuration files of one address: name and text. Certificates, the CA and secrets lie beside them. Pure. */
export function filesOf(layout: Layout, address: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const etcd = layout.etcd.indexOf(address);
  const member = layout.members.indexOf(address);
  const proxy = layout.proxies.indexOf(address);
  if (etcd !== -1) files.set('etcd.yaml', etcdFile(layout, address, `e${etcd + 1}`));
  if (member !== -1) files.set('member.yaml', memberFile(layout, address, `n${member + 1}`));
  if (proxy !== -1) files.set('proxy.yaml', proxyFile(layout, address, `p${proxy + 1}`));
  return files;
}

/** All addresses, each once. */
export function addressesOf({ etcd, members, proxies }: Layout): readonly string[] {
  return [...new Set([...etcd, ...members, ...proxies])];
}

function etcdFile(layout: Layout, address: string, name: string): string {
  const trust = { 'cert-file': 'machine.crt', 'key-file': 'machine.key', 'trusted-ca-file': 'ca.crt', 'client-cert-auth': true };
  return headed(`etcd node ${name}; run it in this directory: etcd --config-file etcd.yaml`, {
    name,
    'data-dir': `${layout.dataDirectory}/${name}`,
    'listen-client-urls': `https://${authority(address, 2379)}`,
    'advertise-client-urls': `https://${authority(address, 2379)}`,
    'listen-peer-urls': `https://${authority(address, 2380)}`,
    'initial-advertise-peer-urls': `https://${authority(address, 2380)}`,
    'initial-cluster': layout.etcd.map((each, i) => `e${i + 1}=https://${authority(each, 2380)}`).join(','),
    'initial-cluster-state': 'new',
    'initial-cluster-token': `understudy-${layout.cluster}`,
    // A failover waits for etcd's own where the machine of its leader is the one that is lost. An election too many costs nothing: without the store nobody
    // is demoted. Machines that are far from each other (10 ms and more) need more.
    'heartbeat-interval': 100,
    'election-timeout': 500,
    'pre-vote': true,
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '1h',
    // Off by default in a file, on by default on the command line (etcd 3.4).
    'enable-grpc-gateway': true,
    logger: 'zap',
    'log-level': 'warn',
    'client-transport-security': trust,
    'peer-transport-security': trust,
  });
}

function memberFile(layout: Layout, address: string, name: string): string {
  return headed(`member ${name}; run it with: understudy member --config member.yaml`, {
    ...commonOf(layout, address, name),
    memberPort: 5433,
    httpHost: address,
    httpPort: 8008,
    httpTls: 'machine',
    provider: layout.provider,
  });
}

function proxyFile(layout: Layout, address: string, name: string): string {
  return headed(`proxy ${name}; run it with: understudy proxy --config proxy.yaml`, {
    ...commonOf(layout, address, name),
    port: 5432,
  });
}

function commonOf(layout: Layout, address: string, name: string): Record<string, unknown> {
  return {
    cluster: layout.cluster,
    name,
    data: `${layout.dataDirectory}/${name}`,
    host: address,
    secrets: 'secrets.json',
    machineTls: { ca: 'ca.crt', cert: 'machine.crt', key: 'machine.key' },
    etcd: {
      endpoints: layout.etcd.map(each => `https://${authority(each, 2379)}`),
      ca: 'ca.crt',
      cert: 'machine.crt',
      key: 'machine.key',
    },
  };
}

function headed(comment: string, content: object): string {
  return `# ${comment}\n${stringify(content)}`;
}
