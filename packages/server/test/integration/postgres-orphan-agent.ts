import { PostgresServer, type ServerSpec } from '../../src/postgres/index.ts';

/** A short-lived agent of a test: starts the primary described by its argument, says its pid, and lives until it is killed. */
const server = new PostgresServer(JSON.parse(process.argv[2] ?? '') as ServerSpec);
await server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
await server.waitUntilReady(20_000);
process.stdout.write(`${server.pid}\n`);
setInterval(() => undefined, 1000);
