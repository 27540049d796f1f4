export { createApi } from './create.ts';
export type * from './facade.ts';
export { type ApiServer, type ApiTls, serveApi } from './serve.ts';
export type * from './types.ts';
