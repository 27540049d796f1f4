import { existsSync, readFileSync, rmSync } from 'node:fs';
import { writeDurably } from '../store/durable-file.ts';

/** How a command reaches the running supervisor. */
export interface RuntimeInfo {
  readonly pid: number;
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** The certificate of its authority, a file; not there: it is plain HTTP. */
    readonly ca?: string;
  };
  readonly router: { readonly host: string; readonly port: number };
  readonly token: string;
  readonly startedAtMs: number;
}

export function writeRuntime(path: string, info: RuntimeInfo): void {
  writeDurably(path, `${JSON.stringify(info, null, 2)}\n`, 0o600);
}

/** Null when there is none, or it cannot be read. */
export function readRuntime(path: string): RuntimeInfo | null {
  if (!existsSync(path)) return null;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RuntimeInfo;
  } catch {
    return null;
  }
}

export function removeRuntime(path: string): void {
  rmSync(path, { force: true });
}
