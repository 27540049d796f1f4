export * from './topology.ts';
export { type DrainClock, topologyOf } from './topology-of.ts';
