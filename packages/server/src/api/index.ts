export { type ApiOptions, createApi } from './create.ts';
export { asUnderstudyError, errorAnswer } from './errors.ts';
export type * from './facade.ts';
export { type ApiServer, serveApi } from './serve.ts';
export type * from './types.ts';
