export { createApi } from './create.ts';
export type * from './facade.ts';
export { type ApiServer, serveApi } from './serve.ts';
export type * from './types.ts';
