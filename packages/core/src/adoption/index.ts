export * from './found.ts';
export * from './judge.ts';
export * from './state.ts';
