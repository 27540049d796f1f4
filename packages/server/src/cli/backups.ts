import type { TargetOptions } from './context.ts';

export const BACKUPS_DIRECTORY = './understudy-backups';

export interface BackupsOptions extends TargetOptions {
  readonly into?: string;
}
