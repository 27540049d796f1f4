import type { Lsn } from './lsn.ts';

/** One server of the cluster that a standby cluster follows. */
export interface SourceAddress {
  readonly host: string;
  readonly port: number;
}

/** How the connection to the source is secured; the names are libpq's sslmode. Paths are those of each member's machine. */
export interface SourceTls {
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  readonly rootCert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Where the source is, and as whom it is asked. The password is no part of it. */
export interface SourceSpec {
  /** All servers that may lead the source; the order only breaks ties. */
  readonly hosts: readonly SourceAddress[];
  /** Null: the replication role that the source's own members use. */
  readonly user: string | null;
  /** Null: as between the members of this cluster. */
  readonly tls: SourceTls | null;
}

/** This cluster follows another one, and takes no writes until it is promoted. */
export interface StandbyOf {
  readonly source: SourceSpec;
  /** Wall clock, for people. */
  readonly sinceMs: number;
}

/** The most servers of a source that are named. */
export const SOURCE_HOSTS_MAX = 16;

export type SourceResult = { readonly ok: true; readonly source: SourceSpec } | { readonly ok: false; readonly why: string };

const TLS_MODES: readonly string[] = ['disable', 'require', 'verify-ca', 'verify-full'] satisfies readonly SourceTls['mode'][];
const KEYS: readonly string[] = ['host', 'port', 'user', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'];

/**
 * Reads a libpq connection string such as `host=10.1.0.1,10.1.0.2 port=5433 sslmode=verify-full sslrootcert=/etc/ca.crt`. Only what says where
 * the source is and how it is secured is taken; everything else is refused, so that nothing is silently left out.
 */
export function parseSource(text: string): SourceResult {
  const refused = (why: string): SourceResult => ({ ok: false, why });
  const options = optionsOf(text);
  if (options === null) return refused('must be a connection string such as "host=10.1.0.1,10.1.0.2 port=5433"');
  if (options.has('password')) return refused('must not hold a password: name a file with standby.passwordFile');
  const unknown = [...options.keys()].find(key => !KEYS.includes(key));
  if (unknown !== undefined) return refused(`must not set ${unknown}; it may set ${KEYS.join(', ')}`);
  const hosts = hostsOf(options.get('host') ?? '', options.get('port') ?? '5432');
  if (typeof hosts === 'string') return refused(hosts);
  const mode = options.get('sslmode') ?? null;
  if (mode !== null && !TLS_MODES.includes(mode)) return refused(`sslmode must be one of ${TLS_MODES.join(', ')}`);
  const files = { rootCert: options.get('sslrootcert') ?? null, cert: options.get('sslcert') ?? null, key: options.get('sslkey') ?? null };
  if (mode === null && Object.values(files).some(file => file !== null)) return refused('must say sslmode beside certificates');
  if ((mode === 'verify-ca' || mode === 'verify-full') && files.rootCert === null) return refused(`must name sslrootcert for ${mode}`);
  if ((files.cert === null) !== (files.key === null)) return refused('must name both sslcert and sslkey, or neither');
  const tls = mode === null ? null : { mode: mode as SourceTls['mode'], ...files };
  return { ok: true, source: { hosts, user: options.get('user') || null, tls } };
}

/** Quoted or not, as libpq reads it; null for text that is something else. */
function optionsOf(text: string): Map<string, string> | null {
  const options = new Map<string, string>();
  const rest = text.replace(/\s*(\w+)\s*=\s*(?:'((?:\\.|[^'\\])*)'|((?:\\.|[^\s\\'])*))(?=\s|$)/gsy, (_all, key: string, quoted, plain) => {
    options.set(key, ((quoted ?? plain ?? '') as string).replace(/\\(.)/gs, '$1'));
    return '';
  });
  return rest.trim() === '' && options.size > 0 ? options : null;
}

function hostsOf(hostList: string, portList: string): readonly SourceAddress[] | string {
  const names = hostList.split(',').map(name => name.trim());
  const ports = portList.split(',').map(port => port.trim());
  if (names.some(name => name === '' || name.length > 253 || name.startsWith('/'))) return 'must name one host or more, parted by commas';
  if (names.length > SOURCE_HOSTS_MAX) return `must not name more than ${SOURCE_HOSTS_MAX} hosts`;
  if (ports.length !== 1 && ports.length !== names.length) return 'must name one port, or as many as hosts';
  if (ports.some(port => !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)) return 'must name ports from 1 to 65535';
  const hosts = names.map((host, i) => ({ host, port: Number(ports.length === 1 ? ports[0] : ports[i]) }));
  return new Set(hosts.map(addressText)).size < hosts.length ? 'must not name a server twice' : hosts;
}

export function addressText({ host, port }: SourceAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** For people: `10.1.0.1:5433, 10.1.0.2:5433`. */
export function sourceText({ hosts }: Pick<SourceSpec, 'hosts'>): string {
  return hosts.map(addressText).join(', ');
}

/** Physical slot of a standby cluster on each server of its source. It does not begin as the slots of members do, which a source drops when it does not know them. */
export function standbySlotName(cluster: string): string {
  return `standby_${cluster.replaceAll('-', '_')}`;
}

/** Why a server of the source is of no use now. */
export type SourceFaultCode = 'unreachable' | 'login' | 'other-cluster' | 'other-version' | 'settings' | 'in-this-cluster';

export interface SourceFault extends SourceAddress {
  readonly code: SourceFaultCode;
  readonly why: string;
}

/** A server of the source as it was seen last. */
export interface SourceServer extends SourceAddress {
  readonly role: 'primary' | 'replica';
  readonly timeline: number;
  /** Up to where it holds the WAL durably. */
  readonly lsn: Lsn;
}

/** What a member of a standby cluster says of the source. */
export interface SourceReport {
  readonly servers: readonly SourceServer[];
  readonly faults: readonly SourceFault[];
  /** For how long this was known when it was told, in milliseconds; null: it has not been looked at yet. */
  readonly ageMs: number | null;
  /** The furthest position ever seen there by this agent, and how long ago; null: none. */
  readonly newest: { readonly timeline: number; readonly lsn: Lsn; readonly ageMs: number } | null;
  /** How long ago this agent last saw a primary there; null: never. */
  readonly primarySeenMs: number | null;
  /**
   * Whether the WAL that this member holds ends with the record that a primary writes when it is shut down cleanly: the source has no more than this. Null: it was
   * not looked at as it is now, since a primary of the source answers, or it has only just gone.
   */
  readonly endsWithShutdown: boolean | null;
}
