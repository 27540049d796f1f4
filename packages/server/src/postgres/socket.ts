import { join } from 'node:path';

/** sockaddr_un holds 104 bytes on macOS and the BSDs, 108 on Linux, each with the zero at the end. */
const MAX_PATH_BYTES = 103;
/** PostgreSQL's own name for the socket of a port. Source: src/include/libpq/pqcomm.h, UNIXSOCK_PATH. */
const socketName = (port: number | string): string => `.s.PGSQL.${port}`;
const LONGEST_NAME = socketName(65_535);
/** Names of sockets, and of the files that lock them. */
const SOCKET_FILE = /^\.s\.PGSQL\.\d+(\.lock)?$/;

/**
 * Where the server of a member has its Unix socket: in the member's own directory, which only the account of the servers may enter. Null where there is none:
 * the path is longer than sockets may have, or the system has no such sockets.
 */
export function socketDirectory(memberDirectory: string, platform: NodeJS.Platform = process.platform): string | null {
  const fits = Buffer.byteLength(join(memberDirectory, LONGEST_NAME)) <= MAX_PATH_BYTES;
  return fits && platform !== 'win32' ? memberDirectory : null;
}

/** The path to connect to; null where there is none. */
export function socketPath(memberDirectory: string, port: number): string | null {
  const directory = socketDirectory(memberDirectory);
  return directory === null ? null : join(directory, socketName(port));
}

export function isSocketFile(name: string): boolean {
  return SOCKET_FILE.test(name);
}

/** `unix_socket_directories` is a list: each name in quotes is one entry, whatever is in it. */
export function socketSetting(directories: readonly string[]): string {
  return directories.map(directory => `"${directory.replaceAll('"', '""')}"`).join(', ');
}
