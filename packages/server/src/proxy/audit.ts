import type { Findings, Pin } from './pins.ts';
import { literal } from './settings-set.ts';

/**
 * Asks a backend what its session holds that another client must not meet. One row: temporary objects, advisory locks, cursors with hold, statements
 * prepared with SQL, channels listened to, settings of the session, role, user, and those settings of an application's own that are asked for, which
 * pg_settings does not list. All names are full: the client's search path and role are in force.
 */
export const audit = (user: string, customNames: readonly string[]): string => `SELECT
  EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_type WHERE typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
  EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()),
  EXISTS (SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable),
  EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE from_sql),
  (SELECT pg_catalog.json_agg(channel) FROM pg_catalog.pg_listening_channels() AS channel),
  (SELECT pg_catalog.json_object_agg(pg_catalog.lower(name), pg_catalog.current_setting(name))
    FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session' AND name OPERATOR(pg_catalog.!~~) 'transaction\\_%'),
  pg_catalog.current_setting('role'),
  NULLIF(pg_catalog.current_setting('session_authorization'), ${literal(user)}),
  (SELECT pg_catalog.json_object_agg(asked, pg_catalog.current_setting(asked, true))
    FROM pg_catalog.unnest(ARRAY[${customNames.map(literal).join(', ')}]::pg_catalog.text[]) AS asked
    WHERE pg_catalog.current_setting(asked, true) IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_settings s WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) asked))`;

/** The backend's answer. Null when it is none: then nothing is known. */
export function readAudit(row: readonly (string | null)[] | undefined): Findings | null {
  if (row === undefined || row.length !== 9) return null;
  const [temporary, locks, cursors, prepared, channels, settings, role, user, custom] = row;
  const pins: Pin[] = [];
  if (temporary === 't') pins.push('temporary objects');
  if (locks === 't') pins.push('advisory locks');
  if (cursors === 't') pins.push('cursors with hold');
  if (prepared === 't') pins.push('statements prepared with SQL');
  const own = mapOf(settings);
  if (role !== null && role !== undefined && role !== 'none') own.set('role', role);
  if (user !== null && user !== undefined) own.set('session_authorization', user);
  return { pins, channels: JSON.parse(channels ?? '[]') as string[], settings: own, custom: mapOf(custom) };
}

const mapOf = (json: string | null | undefined): Map<string, string> =>
  new Map(Object.entries(JSON.parse(json ?? '{}') as Record<string, string>));
