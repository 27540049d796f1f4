export interface Address {
  readonly host: string;
  readonly port: number;
}

export const DEFAULT_PORT = 5432;
export const URL_PARTS: RegExp = /^([a-z]+):\/\/(?:([^@/?#]*)@)?([^/?#]*)(.*)$/s;

/** `host`, `host:port`, `[address]:port`, or a connection string with one server. Throws TypeError for anything else. */
export function readAddress(text: string, defaultPort: number = DEFAULT_PORT): Address {
  const inside = URL_PARTS.exec(text)?.[3] ?? text;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(inside) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new TypeError(`"${text}" is not host, host:port or a connection string`);
  return { host, port: port === undefined ? defaultPort : Number(port) };
}

export function addressName({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
