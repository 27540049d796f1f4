export * from './lsn.ts';
export * from './member.ts';
