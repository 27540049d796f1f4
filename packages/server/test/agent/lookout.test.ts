import { once } from 'node:events';
import { createServer } from 'node:net';
import { DEFAULT_FAILOVER, type MemberSpec } from '@understudy/core/cluster';
import { expect, onTestFinished, test } from 'vitest';
import { attemptToConnect, Lookout } from '../../src/agent/lookout.ts';
import { newMember } from '../../src/supervisor/members.ts';

async function listener(): Promise<number> {
  const server = createServer(socket => socket.destroy());
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

async function nobody(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

test('a server that takes connections is reached, a machine without one refuses, and a name that nobody knows tells nothing', async () => {
  expect(await attemptToConnect('127.0.0.1', await listener(), 1000)).toBe('reached');
  expect(await attemptToConnect('127.0.0.1', await nobody(), 1000)).toBe('refused');
  expect(await attemptToConnect('no-such-host.invalid', 5432, 1000)).toBe('refused');
});

test('a lookout tells whom it reaches while it is to look, and forgets it afterwards', async () => {
  const [there, gone]: MemberSpec[] = [newMember('n1', '127.0.0.1', await listener()), newMember('n3', '127.0.0.1', await nobody())];
  let news: () => void = () => undefined;
  const heard = new Promise<void>(resolve => (news = resolve));
  const lookout = new Lookout(DEFAULT_FAILOVER, () => lookout.sight(0)?.reached.length === 1 && news());
  expect(lookout.sight(0)).toBeNull();
  lookout.watch([there!, gone!]);
  await heard;
  expect(lookout.sight(12.3)).toEqual({ silentMs: 12, reached: ['n1'], lost: [] });
  lookout.watch([]);
  expect(lookout.sight(0)).toBeNull();
});
