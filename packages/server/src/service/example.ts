import { describeSettings, type SettingDescription } from '@understudy/core/schemas';

type Kind = 'up' | 'member' | 'proxy';

/** Settings of `up` that a member or a proxy has no use for. */
const NOT_MEMBER = /^(port|replicas|consistency|logLevel|logFormat|routing\.|proxy\.|tls\.|standby\.secrets$|cluster$|data$|host$)/;
const NOT_PROXY =
  /^(httpHost|httpPort|memberPort|replicas|provider|binDir|durability|acks|whenAlone|maxLossBytes|standby\.|logLevel|logFormat|cluster$|data$|host$)/;

const API_TLS = `# The API as HTTPS, with the certificate of machineTls; off: plain HTTP.
httpTls: machine
`;

const SERVICE = (kind: 'member' | 'proxy'): string => `# A ${kind} of a cluster on several machines. Paths count from this file's directory.
# Name of the cluster, the same in all files.
cluster: main
# Name of this ${kind}: a lower-case letter, then letters and digits.
name: ${kind === 'member' ? 'n1' : 'p1'}
# Directory for its data and its log.
data: /var/lib/understudy/${kind === 'member' ? 'n1' : 'p1'}
# Address on which it listens and under which the others reach it.
host: 10.0.0.1
# Passwords of the cluster's own roles and the token of operations, the same on all machines; made by \`understudy init\`.
secrets: secrets.json
# Certificates between the machines. Without them nothing is encrypted.
machineTls:
  ca: ca.crt
  cert: machine.crt
  key: machine.key
${kind === 'member' ? API_TLS : ''}etcd:
  # Every node; the one that failed last is asked last.
  endpoints: ["https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://10.0.0.3:2379"]
  ca: ca.crt
  cert: machine.crt
  key: machine.key
  # etcd's own authentication, if it is on.
  # user: understudy
  # passwordFile: etcd-password
`;

const MEMBER = `# Preference among equally advanced replicas in a failover, higher first.
# priority: 100
# Never promoted.
# nofailover: false
# Never counted among those that must hold a commit: a far replica.
# nosync: false
# A delayed replica: shows each change so much later. Never counted, never promoted, and read only at level eventual.
# applyDelayMs: 0
# A cascading replica: streams from this member instead of the primary, and is never counted.
# follows: null
# Where it stands.
# zone: null
# Share of reads; 0 is none, and what a delayed replica has unless this says otherwise.
# readWeight: 100
`;

const PROXY = `# A view of the cluster that nobody has confirmed for this long serves no \`strong\` reads any more.
# viewTtlMs: 2000
`;

/** A commented configuration file: what must be said, then every other setting with its default. Pure. */
export function exampleFile(kind: Kind): string {
  const all = describeSettings();
  if (kind === 'up') return `# Settings of \`understudy up\`, with their defaults.\n${commented(all)}`;
  const unused = kind === 'member' ? NOT_MEMBER : NOT_PROXY;
  return `${SERVICE(kind)}${kind === 'member' ? MEMBER : PROXY}${commented(all.filter(({ key }) => !unused.test(key)))}`;
}

function commented(settings: readonly SettingDescription[]): string {
  const lines: string[] = [];
  let group: string | null = null;
  for (const { key, description, default: value, values } of settings) {
    const [first, second] = key.split('.') as [string, string | undefined];
    if (second !== undefined && group !== first) lines.push(`# ${first}:`);
    group = second === undefined ? null : first;
    const indent = second === undefined ? '' : '  ';
    lines.push(
      `# ${indent}# ${description}${values === '' ? '' : ` (${values})`}`,
      `# ${indent}${second ?? first}: ${JSON.stringify(value)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
