import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { parseDocument } from 'yaml';

/** Looked for in the working directory when no file is named. */
export const CONFIG_FILE = 'understudy.yaml';

/** A configuration that somebody writes by hand is never near this. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface ConfigFile {
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/** Reads the named file, or understudy.yaml where there is one. Throws `bad-config`. */
export function readConfigFile(cwd: string, named: string | null): ConfigFile | null {
  const path = resolve(cwd, named ?? CONFIG_FILE);
  const text = readText(path, named !== null);
  if (text === null) return null;
  const document = parseDocument(text, { uniqueKeys: true });
  const problem = document.errors[0];
  if (problem) throw new UnderstudyError('bad-config', { path, why: problem.message.split('\n')[0]! });
  const content: unknown = document.toJS({ maxAliasCount: 100 });
  if (content === null) return { path, content: {} };
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new UnderstudyError('bad-config', { path, why: 'it must hold keys and values' });
  }
  return { path, content: content as Readonly<Record<string, unknown>> };
}

function readText(path: string, mustExist: boolean): string | null {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`);
    return text;
  } catch (error) {
    if (!mustExist && (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UnderstudyError('bad-config', { path, why: (error as Error).message }, { cause: error });
  }
}
