// The module that drivers take for pg: pg itself, through the router; or, when UNDERSTUDY_SERVERS names servers, the in-process client on them.
import pg from 'pg';
import understudy, { defineCluster } from '@understudy/client';

const servers = process.env.UNDERSTUDY_SERVERS;
// Machines that test are slow at times: which server answers must not depend on it.
if (servers) defineCluster({ servers: servers.split(','), freshWaitMs: 1_000 });

export default servers ? understudy : pg;
