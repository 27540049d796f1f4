/**
 * What checks plain data that comes from outside. Apart from the types it checks, since the library behind it takes longer to load than all the
 * rest of core, and most processes and every client do without.
 */
export * from '../cluster/settings-schema.ts';
export { parseClusterState } from '../cluster/state-schema.ts';
