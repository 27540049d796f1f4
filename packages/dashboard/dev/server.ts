/**
 * FOR DEVELOPMENT ONLY: the built page behind the real HTTP API, on a made-up cluster.
 *
 *     npm run dev -w packages/dashboard -- [scenario] [port]
 *
 * The token is `dev`; operations work in the scenario `story`.
 */
import { fileURLToPath } from 'node:url';
import { createApi } from '../../server/src/api/create.ts';
import { serveApi } from '../../server/src/api/serve.ts';
import { FakeCluster } from './fake-cluster.ts';
import { SCENARIOS, type ScenarioName } from './scenarios.ts';

const TICK_MS = 100;

const [name = 'story', port = '8009'] = process.argv.slice(2);
if (!(name in SCENARIOS)) throw new Error(`no scenario ${name}; there are ${Object.keys(SCENARIOS).join(', ')}`);

const cluster = new FakeCluster(Date.now);
SCENARIOS[name as ScenarioName](cluster, (ms, act) => void setTimeout(act, ms));
setInterval(() => cluster.flow(TICK_MS), TICK_MS);

const dashboardDirectory = fileURLToPath(new URL('../dist', import.meta.url));
const app = createApi(cluster, { host: '127.0.0.1', dashboardDirectory, version: 'dev' });
const server = await serveApi(app, { host: '127.0.0.1', port: Number(port) });
process.stderr.write(`${name}: http://127.0.0.1:${server.port}/#token=${cluster.token}\n`);
