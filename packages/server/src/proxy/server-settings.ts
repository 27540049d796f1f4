import type { ServerConnection } from './server-connection.ts';
import { SettingsSet, settingsPatch } from './settings-set.ts';

/** Gives the connection the session's settings. */
export async function applySettings(connection: ServerConnection, wanted: SettingsSet): Promise<void> {
  const patch = settingsPatch(connection.applied, wanted);
  if (patch === null) return;
  await connection.ask(patch);
  connection.applied = wanted;
}

/** Takes back every setting of the session before, known or not. */
export async function resetSettings(connection: ServerConnection): Promise<void> {
  await connection.ask('RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL');
  connection.applied = SettingsSet.EMPTY;
  connection.tainted = false;
}
