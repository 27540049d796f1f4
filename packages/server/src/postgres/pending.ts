import { HOT_STANDBY_SETTINGS, type StandbyLimits } from '@understudy/core/cluster';
import type { Connection } from './connection.ts';

/** What a restart of a running server would change. */
export interface PendingSettings {
  readonly pendingRestart: readonly string[];
  readonly limits: StandbyLimits;
}

const OURS = "'unix_socket_directories', 'config_file', 'data_directory'";

/**
 * A name that no file holds any more goes back to its built-in value. What our own command line says differs from the files for good, and each reload
 * would call it pending; somebody else's, of an adopted server, ends with the next start.
 */
const PENDING = `SELECT s.name, s.setting, s.pending_restart AND s.name NOT IN (${OURS}) AS pending,
  coalesce(f.setting, CASE WHEN s.pending_restart THEN s.boot_val ELSE s.setting END) AS configured
  FROM pg_catalog.pg_settings s LEFT JOIN (SELECT DISTINCT ON (pg_catalog.lower(name)) pg_catalog.lower(name) AS name, setting
    FROM pg_catalog.pg_file_settings ORDER BY pg_catalog.lower(name), seqno DESC) f ON f.name = pg_catalog.lower(s.name)
  WHERE (s.pending_restart AND s.name NOT IN (${OURS})) OR s.name IN (${HOT_STANDBY_SETTINGS.map(name => `'${name}'`).join(', ')}) ORDER BY s.name`;

/** Asks a running server. Throws what the connection throws. */
export async function readPending(connection: Connection): Promise<PendingSettings> {
  const [rows = []] = await connection.query(PENDING);
  const limits = rows.filter(row => (HOT_STANDBY_SETTINGS as readonly string[]).includes(row['name'] ?? ''));
  const table = (column: 'setting' | 'configured'): Record<string, number> =>
    Object.fromEntries(limits.map(row => [row['name'], Number(row[column])] as const));
  return {
    pendingRestart: rows.filter(row => row['pending'] === 't').map(row => row['name'] ?? ''),
    limits: { running: table('setting'), configured: table('configured') },
  };
}
