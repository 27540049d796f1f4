import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { authority, choosePort, isPortFree } from '../../src/supervisor/ports.ts';

async function takePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const wish = (port: number, explicit: boolean) => ({ port, explicit, flag: '--port' });

test('a port is free until somebody listens', async () => {
  const port = await takePort();
  expect(await isPortFree('127.0.0.1', port)).toBe(false);
  const free = await choosePort('127.0.0.1', wish(port, false), new Set());
  expect(free).toBeGreaterThan(port);
  expect(await isPortFree('127.0.0.1', free)).toBe(true);
});

test('a port that was asked for and is taken is an error with its flag', async () => {
  const port = await takePort();
  const error = await choosePort('127.0.0.1', wish(port, true), new Set()).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'port-taken', details: { port, host: '127.0.0.1', flag: '--port' } });
});

test('ports that are promised to others are not given out', async () => {
  const free = await choosePort('127.0.0.1', wish(await takePort(), false), new Set());
  expect(await choosePort('127.0.0.1', wish(free, false), new Set([free]))).toBeGreaterThan(free);
  await expect(choosePort('127.0.0.1', wish(free, true), new Set([free]))).rejects.toMatchObject({ code: 'port-taken' });
});

test('the search ends at the last port there is', async () => {
  const taken = new Set(Array.from({ length: 10 }, (_, i) => 65_526 + i));
  await expect(choosePort('127.0.0.1', wish(65_530, false), taken)).rejects.toMatchObject({
    code: 'no-free-port',
    details: { port: 65_530, last: 65_535 },
  });
});

test.each([true, false])('an address that is not of this machine is not called a taken port (asked for: %s)', async explicit => {
  await expect(choosePort('192.0.2.1', wish(5432, explicit), new Set())).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('EADDRNOTAVAIL'),
  });
});

test('an address in a URL', () => {
  expect(authority('127.0.0.1', 5432)).toBe('127.0.0.1:5432');
  expect(authority('::1', 5432)).toBe('[::1]:5432');
});
