export { exampleFile } from './example.ts';
export type { Layout } from './machine-files.ts';
export { runMember, type ServiceContext } from './member-service.ts';
export { prepareMachines } from './prepare-machines.ts';
export { runProxy } from './proxy-service.ts';
export { runServersProxy, type ServersProxyConfig } from './servers-proxy.ts';
export { SETUP_SQL } from './setup-sql.ts';
export { readUsersFile } from './users-file.ts';
export { loadServiceSettings, type ServiceSettings } from './settings.ts';
