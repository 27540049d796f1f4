/**
 * One PostgreSQL server as a child process: binaries, accounts, initdb, start, stop, fence, observe, promote, follow, clone, rewind. Mechanisms only;
 * what is to be done is decided elsewhere.
 */
export { type Account, chooseAccount, giveTo } from './account.ts';
export { type BackupAbout, readAbout, takeBackup, verifyBackup } from './backup.ts';
export { clone } from './clone.ts';
export type { Credentials } from './credentials.ts';
export { type DiskReport, diskBytes } from './disk.ts';
export { type AdoptionRecord, readAdoption } from './adoption/record.ts';
export { keptSettings, placeOf } from './adoption/take-over.ts';
export { archiveDivergedWal } from './diverged-wal.ts';
export { PostgresError } from './errors.ts';
export { initialize } from './initialize.ts';
export { memberPaths } from './layout.ts';
export type { Observation } from './observe.ts';
export type { PostmasterExit } from './postmaster.ts';
export { serverProcesses } from './processes.ts';
export type { PendingSettings } from './pending.ts';
export { detectVersion, embeddedProvider, embeddedWitness, type Provider, systemProvider, versionNumber } from './provider.ts';
export type { ServerSpec } from './replication.ts';
export { rewind } from './rewind.ts';
export { PostgresServer, type StartAs } from './server.ts';
export { DEFAULT_SETTINGS, type ServerSettings, type Upstream, walLimits } from './settings.ts';
export type { SynchronousNames } from './synchronous-names.ts';
export { installTls, type TlsSources } from './tls-files.ts';
export { KeptConnection } from './kept-connection.ts';
export { HOT_STANDBY_DEFAULTS } from './settings.ts';
export { dropSlot, ensureSlot } from './slots.ts';
export { keepSourceSlot, lookAtSource, type SourceNeeds, sourceEndpoint, sourceFault } from './source.ts';
export { type Connection, withConnection } from './connection.ts';
export { exists } from './files.ts';
export { readVitals, type Vitals, waitedSince } from './vitals.ts';
