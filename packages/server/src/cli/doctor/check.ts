import type { LocalCluster } from '../target.ts';
import type { LoadedSettings } from '../../settings/load.ts';

/** What a check found. `warn`: it works, but not as it should. */
export interface Finding {
  readonly name: string;
  readonly result: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do; null when there is nothing. */
  readonly action: string | null;
}

/** What the checks look at. */
export interface Patient {
  readonly loaded: LoadedSettings;
  readonly cluster: LocalCluster;
}

export type Check = (patient: Patient) => Promise<Finding> | Finding;

export function ok(name: string, message: string): Finding {
  return { name, result: 'ok', message, action: null };
}

export function warn(name: string, message: string, action: string): Finding {
  return { name, result: 'warn', message, action };
}

export function fail(name: string, message: string, action: string): Finding {
  return { name, result: 'fail', message, action };
}
