import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Editors write a file in several steps. */
const SETTLE_MS = 200;

/** Why the settings are to be read again: the file has changed, or somebody has asked for it with SIGHUP. */
export type ReloadCause = 'file' | 'signal';

/** Calls `reload` on SIGHUP and when the configuration file (if there is one) has changed, until the signal is aborted. */
export function onReload(path: string | null, end: AbortSignal, reload: (cause: ReloadCause) => void): void {
  let timer: NodeJS.Timeout | undefined;
  const onFile = (name: string | null): void => {
    if (path !== null && name !== null && name !== basename(path)) return;
    clearTimeout(timer);
    timer = setTimeout(() => reload('file'), SETTLE_MS);
  };
  const onSignal = (): void => reload('signal');
  // At a terminal it means that the terminal is gone, which ends a program.
  if (!process.stdin.isTTY) process.on('SIGHUP', onSignal);
  const watcher = path === null ? null : watchFolder(dirname(path), onFile);
  end.addEventListener(
    'abort',
    () => {
      clearTimeout(timer);
      process.off('SIGHUP', onSignal);
      watcher?.close();
    },
    { once: true },
  );
}

/** The folder, for a file that is replaced is another one. Where the system has no watches left, SIGHUP still works. */
function watchFolder(folder: string, onFile: (name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, name) => onFile(name));
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
