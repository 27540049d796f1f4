import { realpath } from 'node:fs/promises';
import { userInfo } from 'node:os';
import {
  type AdoptionWish,
  adoptedState,
  type FoundServer,
  type Finding,
  judgeAdoption,
  type LeaderAnswer,
} from '@understudy/core/adoption';
import { type ClusterState, UnderstudyError } from '@understudy/core/cluster';
import { prepareServer } from '../agent/server-spec.ts';
import { PromiseFile } from '../agent/promise-file.ts';
import { canReach } from '../postgres/account.ts';
import { type Account, PostgresError, type Provider, readAdoption } from '../postgres/index.ts';
import { askLeader } from '../postgres/adoption/leader.ts';
import { lookAtServer } from '../postgres/adoption/look.ts';
import { type AdoptionRecord, writeAdoption } from '../postgres/adoption/record.ts';
import { recordOf } from '../postgres/adoption/take-over.ts';
import { type Connection, type Endpoint, withConnection } from '../postgres/connection.ts';
import { findPostmaster } from '../postgres/postmaster.ts';
import { readPostmasterFile } from '../postgres/postmaster-file.ts';
import { EtcdError } from '../store/etcd/gateway.ts';
import { EtcdStore } from '../store/etcd/store.ts';
import { makeFolder, writeMarker } from '../supervisor/directory.ts';
import { EventLog } from '../supervisor/event-log.ts';
import { lockDirectory } from '../supervisor/lock.ts';
import { durabilityOf } from '../supervisor/members.ts';
import { type ClusterPaths, clusterPaths, memberDirectory } from '../supervisor/paths.ts';
import { findPrograms, requireSettings } from '../supervisor/prepare-cluster.ts';
import { readSecrets, type Secrets } from '../supervisor/secrets.ts';
import { type AdoptionSite, adoptPrimary, adoptReplica, disableDebianStart } from './adoption-steps.ts';
import { agentOptions } from './agent-options.ts';
import { markerOf } from './marker.ts';
import { specOf } from './membership.ts';
import type { ServiceSettings } from './settings.ts';

/** The whole of one adoption, the waits for replication included. */
const ADOPTION_MS = 300_000;

export interface AdoptRequest {
  /** Data directory of the running server; null: that of an adoption that was cut off. */
  readonly dataDirectory: string | null;
  /** A superuser of the server; null: named like the account. */
  readonly role: string | null;
  /** With it, by TCP at the member's address; null: by the Unix socket, as the account (`peer`). */
  readonly password: string | null;
  readonly mode: 'adopt' | 'look';
  readonly say: (message: string) => void;
}

export interface AdoptionReport {
  readonly member: string;
  readonly role: 'primary' | 'replica';
  readonly findings: readonly Finding[];
  readonly steps: readonly string[];
  readonly outcome: 'adopted' | 'possible' | 'refused';
}

/**
 * Looks at a running server that Understudy did not start and, unless only that is asked for, or something speaks against it, makes it this machine's member as it is: it is
 * not restarted, and no data is copied. Asked again after it was cut off, it goes on. Throws errors of the catalogue.
 */
export async function adopt(config: ServiceSettings, request: AdoptRequest): Promise<AdoptionReport> {
  const paths = clusterPaths(config.settings.data);
  const secrets = readSecrets(config.secrets);
  const programs = await findPrograms(config.settings);
  await requireSettings(programs, config.settings, config.file);
  const directory = memberDirectory(paths, config.name);
  const known = await readAdoption(directory);
  const dataDirectory = await directoryOf(request, known);
  const endpoint = await endpointOf(dataDirectory, programs.account, config, request);
  try {
    return await withConnection(endpoint, { deadlineMs: ADOPTION_MS, applicationName: 'understudy_adopt' }, connection =>
      withStore(config, state =>
        new Adoption(config, request, { paths, secrets, ...programs, known, dataDirectory, connection }).run(state),
      ),
    );
  } catch (error) {
    throw refusalOf(error, endpoint);
  }
}

interface Parts {
  readonly paths: ClusterPaths;
  readonly secrets: Secrets;
  readonly provider: Provider;
  readonly account: Account | null;
  readonly known: AdoptionRecord | null;
  readonly dataDirectory: string;
  readonly connection: Connection;
}

class Adoption {
  readonly #config: ServiceSettings;
  readonly #request: AdoptRequest;
  readonly #parts: Parts;

  constructor(config: ServiceSettings, request: AdoptRequest, parts: Parts) {
    this.#config = config;
    this.#request = request;
    this.#parts = parts;
  }

  async run(state: ClusterState | null): Promise<AdoptionReport> {
    const { name, settings } = this.#config;
    const { connection, dataDirectory, known } = this.#parts;
    const { superuser, superuserRole, replication, router } = this.#parts.secrets;
    const credentials = { superuser, superuserRole, replication, router };
    const found = await lookAtServer(connection, { dataDirectory, credentials, host: settings.host, port: settings.memberPort });
    const leader = found.standing.kind === 'replica' ? await this.#askLeader(state) : null;
    const findings = judgeAdoption({ found, wish: await this.#wish(), state, leader });
    const report = { member: name, role: found.standing.kind, findings, steps: stepsOf(this.#config, found) };
    const refused = findings.some(({ level }) => level === 'stop');
    if (refused || this.#request.mode === 'look') return { ...report, outcome: refused ? 'refused' : 'possible' };
    await this.#perform(found, known ?? (await recordOf(found)), state);
    return { ...report, outcome: 'adopted' };
  }

  async #perform(found: FoundServer, record: AdoptionRecord, state: ClusterState | null): Promise<void> {
    const { paths, secrets, provider, account, connection } = this.#parts;
    const config = this.#config;
    for (const folder of [paths.root, paths.run, paths.log, paths.members]) makeFolder(folder);
    const lock = lockDirectory(paths.lock);
    try {
      writeMarker(paths, markerOf(config.settings, provider));
      const options = agentOptions(config, { paths, secrets, provider });
      const spec = await prepareServer(options, provider, account, record);
      await writeAdoption(account, options.directory, record);
      const site: AdoptionSite = { config, spec, record, found, connection, say: this.#request.say };
      if (found.standing.kind === 'replica') await adoptReplica(site, state!);
      // What its agent has set since it leads must not be set back: acknowledgements rest on it.
      else if (!hasBegun(state)) {
        await adoptPrimary(site);
        await this.#begin(state, found.systemId, found.standing.timeline);
      }
      await disableDebianStart(record);
    } finally {
      lock.release();
    }
  }

  /** The cluster begins in the store. */
  async #begin(seen: ClusterState | null, systemId: string, timeline: number): Promise<void> {
    const { paths } = this.#parts;
    const { settings, etcd, name } = this.#config;
    const primary = {
      name: settings.cluster,
      spec: specOf(this.#config),
      durability: durabilityOf(settings),
      systemId,
      timeline,
      promisedTerm: this.#promisedTerm,
      atMs: Date.now(),
    };
    const next = adoptedState(seen, primary);
    const store = await EtcdStore.open(etcd, () => next);
    try {
      if (!(await isPut(store, seen, next)))
        throw new UnderstudyError('adoption-failed', { why: 'somebody else has changed the cluster in the store meanwhile' });
    } finally {
      await store.close();
    }
    const before = { ...next, rule: null, proposal: null, members: {} };
    new EventLog(paths.events).appendChange(before, next, `The running primary was adopted as ${name}, on timeline ${timeline}.`);
  }

  get #promisedTerm(): number {
    return new PromiseFile(memberDirectory(this.#parts.paths, this.#config.name)).term;
  }

  async #wish(): Promise<AdoptionWish> {
    const { name, settings, machineTls, applyDelayMs } = this.#config;
    const { provider, account, secrets, paths } = this.#parts;
    const directory = memberDirectory(paths, name);
    return {
      member: name,
      host: settings.host,
      port: settings.memberPort,
      superuserRole: secrets.superuserRole,
      account: account ?? { uid: process.getuid?.() ?? 0, name: 'that runs this' },
      programs: {
        major: provider.version.major,
        version: provider.version.text,
        directory: provider.binDirectory,
        hasRewind: provider.pgRewind !== null,
      },
      directory,
      // Its own directory will be the account's; those above it are what they are.
      canEnterDirectory: await canReach(account, paths.members, 'enter'),
      hasTls: machineTls !== null,
      isDelayed: applyDelayMs > 0,
      promisedTerm: this.#promisedTerm,
    };
  }

  async #askLeader(state: ClusterState | null): Promise<LeaderAnswer | null> {
    const primary = state?.rule ? state.members[state.rule.primary] : undefined;
    if (!primary || primary.id === this.#config.name) return null;
    const { host, port } = primary;
    return await askLeader({ host, port, password: this.#parts.secrets.replication, tls: this.#config.machineTls });
  }
}

/** That this member leads it was judged before. */
function hasBegun(state: ClusterState | null): boolean {
  return state !== null && state.rule !== null && state.released === undefined;
}

/** In place of what was seen there, and of nothing else. */
async function isPut(store: EtcdStore, seen: ClusterState | null, next: ClusterState): Promise<boolean> {
  const { revision, state } = await store.read();
  if (JSON.stringify(state) === JSON.stringify(next)) return true;
  return JSON.stringify(state) === JSON.stringify(seen) && (await store.change(revision, next)).kind === 'done';
}

async function directoryOf({ dataDirectory }: AdoptRequest, known: AdoptionRecord | null): Promise<string> {
  const named = dataDirectory ?? known?.dataDirectory;
  if (named === undefined) throw new UnderstudyError('bad-usage', { why: 'No data directory is named', help: 'understudy adopt --help' });
  const real = await realpath(named).catch(() => named);
  if (known && known.dataDirectory !== real)
    throw new UnderstudyError('adoption-refused', { why: `this member has adopted ${known.dataDirectory} already` });
  if (!(await findPostmaster(real))) throw new UnderstudyError('adoption-refused', { why: `no PostgreSQL runs in ${real}` });
  return real;
}

async function endpointOf(
  dataDirectory: string,
  account: Account | null,
  { settings }: ServiceSettings,
  { role, password }: AdoptRequest,
): Promise<Endpoint> {
  const user = role ?? account?.name ?? userInfo().username;
  if (password !== null) return { host: settings.host, port: settings.memberPort, user, password };
  const file = await readPostmasterFile(dataDirectory);
  if (!file?.port || file.socketDirectory === null)
    throw new UnderstudyError('adoption-refused', {
      why: `${dataDirectory}/postmaster.pid names no Unix socket: give a password in PGPASSWORD`,
    });
  return { host: file.socketDirectory, port: file.port, user, password: '', as: account };
}

/** Runs with what the store holds at this moment; null: nothing. */
async function withStore<T>({ etcd }: ServiceSettings, use: (state: ClusterState | null) => Promise<T>): Promise<T> {
  const store = await EtcdStore.open(etcd, null);
  try {
    return await use(store === null ? null : (await store.read()).state);
  } finally {
    await store?.close();
  }
}

/** In order, for people. */
function stepsOf({ name, settings }: ServiceSettings, { standing, settings: { hba_file, config_file } }: FoundServer): readonly string[] {
  const files = [
    `Lines at the end of ${config_file} include the settings of ${name}; the file itself stays as it is.`,
    `Lines at the front of ${hba_file} let in Understudy's own roles; the rules that are there stay.`,
    'They are read by a reload. What waits for a restart waits for `understudy restart`.',
  ];
  if (standing.kind === 'primary')
    return [
      'The roles of Understudy are made, or given their passwords.',
      ...files,
      `The cluster ${settings.cluster} begins in the store with ${name} as its primary, on timeline ${standing.timeline}. Commits wait for no replica yet.`,
    ];
  return [
    `A slot for ${name} is made on the primary.`,
    ...files,
    'It streams from the primary under its new name; the slot that it used before is dropped.',
  ];
}

function refusalOf(error: unknown, { host, user }: Endpoint): unknown {
  if (error instanceof EtcdError) return new UnderstudyError('store-unreachable', { why: error.message }, { cause: error });
  if (!(error instanceof PostgresError)) return error;
  if (error.code === 'authentication-failed')
    return new UnderstudyError('adoption-login', { role: user ?? '', host, why: error.message }, { cause: error });
  return new UnderstudyError('adoption-failed', { why: error.message }, { cause: error });
}
