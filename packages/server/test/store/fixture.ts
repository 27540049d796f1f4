import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ClusterState, MemberReport } from '@understudy/core/cluster';
import { onTestFinished } from 'vitest';
import type { Link } from '../../src/store/link.ts';
import { initialState, newMember } from '../../src/supervisor/members.ts';

/** A directory for one test. */
export function testDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function threeMembers(): ClusterState {
  const members = ['n1', 'n2', 'n3'].map((id, i) => newMember(id, '127.0.0.1', 5433 + i));
  return initialState('main', members, { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 });
}

export function reportOf(id: string, change: Partial<MemberReport> = {}): MemberReport {
  return {
    id,
    sequence: 1,
    promisedTerm: 1,
    systemId: '42',
    server: { kind: 'stopped', cleanShutdown: true, timeline: 1, checkpointLsn: 0x1_00000028n, crashed: false },
    operation: null,
    postmasterPid: null,
    serverVersion: null,
    openTerm: null,
    alarms: [],
    ...change,
  };
}

/** Two ends of one channel between threads, which clones what it carries as the channel between processes does. */
export function linkedEnds(): readonly [Link, Link] & { close(): void } {
  const { port1, port2 } = new MessageChannel();
  const close = (): void => port1.close();
  onTestFinished(close);
  return Object.assign([endOf(port1), endOf(port2)] as const, { close });
}

function endOf(port: MessagePort): Link {
  return {
    send: (message, onSent) => {
      port.postMessage(message);
      if (onSent) setImmediate(onSent);
    },
    onMessage: listener => port.on('message', listener),
    onClose: listener => port.once('close', listener),
  };
}

/** Waits until it is so; fails after the deadline. */
export async function until(condition: () => boolean, what: string, deadlineMs = 10_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}
