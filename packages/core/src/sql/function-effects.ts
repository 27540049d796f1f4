import type { FoundCall } from './inspect.ts';
import { booleanSetting } from './settings.ts';
import type { SessionEffect, SettingScope } from './statement.ts';

/** What calling one of PostgreSQL's own functions leaves in the session; null for nothing. */
export function functionEffect(call: FoundCall): SessionEffect | null {
  if (call.schema !== null && call.schema !== 'pg_catalog') return null;
  switch (call.name) {
    case 'set_config':
      return { kind: 'set-config', name: call.constants[0]?.toLowerCase() ?? null, scope: configScope(call) };
    case 'pg_advisory_lock':
    case 'pg_advisory_lock_shared':
    case 'pg_try_advisory_lock':
    case 'pg_try_advisory_lock_shared':
      return { kind: 'advisory-lock', scope: 'session' };
    case 'pg_advisory_xact_lock':
    case 'pg_advisory_xact_lock_shared':
    case 'pg_try_advisory_xact_lock':
    case 'pg_try_advisory_xact_lock_shared':
      return { kind: 'advisory-lock', scope: 'transaction' };
    case 'pg_advisory_unlock':
    case 'pg_advisory_unlock_shared':
      return { kind: 'advisory-unlock', all: false };
    case 'pg_advisory_unlock_all':
      return { kind: 'advisory-unlock', all: true };
    case 'currval':
    case 'lastval':
      return { kind: 'read-sequence-state' };
    case 'setseed':
      return { kind: 'random-seed' };
    case 'pg_export_snapshot':
      return { kind: 'export-snapshot' };
    default:
      return null;
  }
}

function configScope(call: FoundCall): SettingScope {
  const local = call.constants[2];
  const isLocal = typeof local === 'string' ? booleanSetting(local) : null;
  return isLocal === null ? 'unknown' : isLocal ? 'transaction' : 'session';
}
