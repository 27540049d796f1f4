/** Where a server, or an API, listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** PostgreSQL's port. */
export const DEFAULT_PORT = 5432;
/** Scheme, login, hosts and the rest of a connection string that may name several hosts. */
export const URL_PARTS: RegExp = /^([a-z]+(?:\+[a-z]+)?):\/\/(?:([^@/?#]*)@)?([^/?#]*)(.*)$/s;

const MAX_PORT = 65_535;

/** `host`, `host:port`, `[address]:port`, or a connection string with one server. Throws TypeError for anything else. */
export function readAddress(text: string, defaultPort: number = DEFAULT_PORT): Address {
  const inside = URL_PARTS.exec(text)?.[3] ?? text;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:,\s]+))(?::(\d+))?$/.exec(inside) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port < 1 || port > MAX_PORT) throw new TypeError(`"${text}" is not host, host:port or a connection string`);
  return { host, port };
}

/** A list with commas, each server once. Throws TypeError for what is none, and for a list of nothing. */
export function readAddresses(text: string, defaultPort: number = DEFAULT_PORT): readonly Address[] {
  const addresses = text.split(',').map(one => readAddress(one.trim(), defaultPort));
  return [...new Map(addresses.map(address => [addressName(address), address])).values()];
}

/** As {@link readAddress} reads it; also what a server is called that has no other name. */
export function addressName({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
