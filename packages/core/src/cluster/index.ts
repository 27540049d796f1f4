export * from './lsn.ts';
