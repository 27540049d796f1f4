import type { SynchronousNames } from '../postgres/index.ts';

/** Reads a value of synchronous_standby_names as decide writes it. Throws RangeError on any other. */
export function toSynchronousNames(value: string): SynchronousNames {
  if (value === '') return { kind: 'none' };
  const match = /^ANY (\d+) \(([a-z0-9_, ]+)\)$/.exec(value);
  if (!match) throw new RangeError(`not synchronous names of ours: ${JSON.stringify(value)}`);
  const names = match[2]!.split(',').map(name => name.trim());
  if (names.length === 1 && names[0] === 'understudy_nobody') return { kind: 'blocked' };
  return { kind: 'quorum', acks: Number(match[1]), names };
}
