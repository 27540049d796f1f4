export * from './promotion.ts';
export { chooseSource, forkBefore, type SeenSource, type SourceFacts } from './source.ts';
