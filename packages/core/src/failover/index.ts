export type * from './action.ts';
export { ALARMS, type AlarmCode, type AlarmText } from './alarms.ts';
export { type CohortStep, covers, nextCohortStep, sameSet, widensElection } from './cohort-plan.ts';
export { decide } from './decide.ts';
export { electionUnderWay, leadingServer } from './facts.ts';
export { recruitOf } from './recruits.ts';
export { slotName } from './slots.ts';
export { type AckSet, parseSynchronousNames, synchronousNames } from './synchronous-names.ts';
export type * from './view.ts';
