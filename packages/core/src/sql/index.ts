export * from './cache.ts';
export * from './classifier.ts';
export * from './fingerprint.ts';
export * from './functions.ts';
export * from './hints.ts';
export * from './parser.ts';
export * from './reasons.ts';
export * from './statement.ts';
