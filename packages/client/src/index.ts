export { Pool, type PoolConfig, type RouteInfo } from './pool.ts';
