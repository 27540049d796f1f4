export * from './config.ts';
export * from './lsn.ts';
export * from './member.ts';
export * from './rule.ts';
export * from './server-report.ts';
export * from './state.ts';
export * from './timeline.ts';
