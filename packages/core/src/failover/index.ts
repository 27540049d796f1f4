export type * from './action.ts';
export type * from './view.ts';
