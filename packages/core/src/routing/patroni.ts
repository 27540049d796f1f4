import type { Address } from './address.ts';

/** Where Patroni's REST API listens unless it is told otherwise. */
export const PATRONI_PORT = 8008;

/** Addresses of the members in the answer of Patroni's GET /cluster; empty for anything else. */
export function patroniMembers(answer: unknown): Address[] {
  const members = (answer as { members?: unknown } | null)?.members;
  if (!Array.isArray(members)) return [];
  return members.flatMap((member: { host?: unknown; port?: unknown }) => {
    const port = Number(member.port);
    return typeof member.host === 'string' && Number.isInteger(port) ? [{ host: member.host, port }] : [];
  });
}
