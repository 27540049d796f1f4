import { formatBytes, parseLsn, UnderstudyError } from '@understudy/core/cluster';
import pg from 'pg';
import { phasesMs } from '../api/failover-meter.ts';
import type { RouterStatus } from '../api/types.ts';
import { SCHEMA } from './blog.ts';
import { memberUrl, withClient } from './connections.ts';
import { delayed } from './delay.ts';
import { Ledger } from './ledger.ts';
import type { ChapterId } from './script.ts';
import { primaryOf, replicasOf, requireReplicas, type Stage, until } from './stage.ts';

/** What each chapter does to the running cluster. All that it finds is measured while it is done. */
export const ACTS: Readonly<Record<ChapterId, (stage: Stage) => Promise<void>>> = {
  'reads-and-writes': readsAndWrites,
  'refused-write': refusedWrite,
  'add-replica': addReplica,
  lag,
  'stale-read': staleRead,
  failover,
  return: comeBack,
  'kill-two': killTwo,
  names,
};

/** Reads that are waited for, so that shares mean something. */
const READS_COUNTED = 150;
const COUNT_LIMIT_MS = 60_000;
const HEAL_LIMIT_MS = 120_000;
const ADD_LIMIT_MS = 600_000;
/** Acknowledged writes before the primary is killed, and after somebody else leads. */
const WRITES_AROUND = 20;
const EVENTUAL_TRIES = 400;
const BULK_ROWS = 4000;

async function readsAndWrites(stage: Stage): Promise<void> {
  primaryOf(stage.facade.status());
  tellShares(stage, await counted(stage));
}

/** Waits until the router has answered some more reads; what it counted meanwhile. */
async function counted({ facade }: Stage): Promise<RouterStatus> {
  const before = facade.status().router;
  const sum = (reads: RouterStatus['reads']): number => Object.values(reads).reduce((total, count) => total + count, 0);
  const after = await until(`${READS_COUNTED} reads`, COUNT_LIMIT_MS, () => {
    const { router } = facade.status();
    return sum(router.reads) - sum(before.reads) >= READS_COUNTED && router.writes > before.writes ? router : null;
  });
  const reads = Object.entries(after.reads).map(([id, count]) => [id, count - (before.reads[id] ?? 0)] as const);
  return { ...after, reads: Object.fromEntries(reads), writes: after.writes - before.writes };
}

function tellShares({ facade, found }: Stage, { reads, writes }: RouterStatus): void {
  const status = facade.status();
  const total = Object.values(reads).reduce((sum, count) => sum + count, 0);
  for (const { id } of status.members) {
    const share = `${reads[id] ?? 0} of ${total} reads (${Math.round(((reads[id] ?? 0) / total) * 100)} %)`;
    found(id === status.primary ? `${id}, the primary` : id, id === status.primary ? `all ${writes} writes, ${share}` : share);
  }
}

async function refusedWrite({ facade, found }: Stage): Promise<void> {
  const [replica] = requireReplicas(facade.status(), 1);
  const insert = `insert into ${SCHEMA}.comments(post, words) values (1, 'hello')`;
  const refused = await withClient(memberUrl(facade, replica!.id), client =>
    client.query(insert).then(
      () => null,
      (error: unknown) => error,
    ),
  );
  if (!(refused instanceof pg.DatabaseError)) throw refused ?? new UnderstudyError('internal-error', { why: 'a replica took a write' });
  found(`INSERT on ${replica!.id}`, `${refused.message} (SQLSTATE ${refused.code})`);
  await withClient(facade.url('router'), async client => {
    await client.query(insert);
    found('INSERT through the router', `done, by ${await lastRoute(client)}`);
  });
}

async function lastRoute(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Record<string, string>>('show understudy.last_route');
  return Object.values(rows[0] ?? {})[0] ?? 'nobody';
}

async function addReplica(stage: Stage): Promise<void> {
  const { facade, found } = stage;
  const startedAt = performance.now();
  const { member } = await facade.perform({ kind: 'add-replica' }, ADD_LIMIT_MS);
  found(`${member} copied and following`, `after ${seconds(performance.now() - startedAt)}, while the blog went on`);
  tellShares(stage, await counted(stage));
  const { members } = await until('replicas that have replayed all', HEAL_LIMIT_MS, () => {
    const status = facade.status();
    return status.members.every(each => each.lagBytes !== null && each.lagBytes < 100_000) ? status : null;
  });
  found('replayed by each', members.map(each => `${each.id} to ${each.replayLsn}`).join(', '));
}

async function lag({ facade, found }: Stage): Promise<void> {
  const replica = requireReplicas(facade.status(), 1).at(-1)!;
  await delayed(facade, replica.id, async () => {
    await withClient(facade.url('router'), async client => {
      const comments = `insert into ${SCHEMA}.comments(post, words) select 1, repeat('x', 500) from generate_series`;
      // Only commits are replayed late: the first one holds up the many rows behind it.
      await client.query(`${comments}(1, 1)`);
      await client.query(`${comments}(1, ${BULK_ROWS})`);
    });
    const late = await until('a replica that lags', HEAL_LIMIT_MS, () => {
      const member = facade.status().members.find(each => each.id === replica.id);
      return member && (member.lagBytes ?? 0) > 0 && (member.lagMs ?? 0) > 500 ? member : null;
    });
    found(`${replica.id} is behind`, `${formatBytes(late.lagBytes ?? 0)}, ${Math.round(late.lagMs ?? 0)} ms`);
    found('received', `${late.receiveLsn}: it is on its disk`);
    found('replayed', `${late.replayLsn}: this is what a read there sees`);
  });
  const startedAt = performance.now();
  await until(`${replica.id} caught up`, HEAL_LIMIT_MS, () => {
    const member = facade.status().members.find(each => each.id === replica.id);
    return member && member.lagBytes !== null && member.lagBytes < 100_000 ? member : null;
  });
  found('caught up', `${seconds(performance.now() - startedAt)} after the delay was taken away`);
}

async function staleRead({ facade, found }: Stage): Promise<void> {
  const replica = requireReplicas(facade.status(), 1).at(-1)!;
  const title = `select title from ${SCHEMA}.posts where id = 1`;
  const [before, after] = ['The draft', 'The post'];
  await withClient(facade.url('router'), async client => {
    const write = (text: string): Promise<unknown> => client.query(`update ${SCHEMA}.posts set title = $1 where id = 1`, [text]);
    const read = async (): Promise<string> => (await client.query<{ title: string }>(title)).rows[0]?.title ?? '';
    await write(before);
    const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn() as lsn');
    const written = parseLsn(rows[0]?.lsn ?? '0/0');
    await until(`${replica.id} with the draft`, HEAL_LIMIT_MS, () => {
      const replayed = facade.status().members.find(each => each.id === replica.id)?.replayLsn;
      return replayed && parseLsn(replayed) >= written ? replayed : null;
    });
    await delayed(facade, replica.id, async () => {
      await write(after);
      await client.query("set understudy.consistency = 'eventual'");
      let reads = 0;
      let seen = after;
      while (seen === after && reads < EVENTUAL_TRIES) {
        seen = await read();
        reads += 1;
      }
      found('written', `“${after}”, acknowledged`);
      if (seen === after) found('eventual', `${reads} reads, none was stale this time`);
      else found('eventual', `read ${reads} gives “${seen}”: stale, from ${(await lastRoute(client)).split(':')[0]}`);
      await client.query("set understudy.consistency = 'strong'");
      const startedAt = performance.now();
      const fresh = await read();
      found('strong', `gives “${fresh}” after ${Math.round(performance.now() - startedAt)} ms, from ${await lastRoute(client)}`);
    });
  });
}

async function failover({ facade, found }: Stage): Promise<void> {
  requireReplicas(facade.status(), 1);
  await survived({ facade, found }, [primaryOf(facade.status()).id]);
}

async function killTwo({ facade, found }: Stage): Promise<void> {
  const replicas = requireReplicas(facade.status(), 2);
  await survived({ facade, found }, [primaryOf(facade.status()).id, replicas[0]!.id]);
}

/** Kills these members, the primary among them, under a client that writes, and tells what it cost. */
async function survived({ facade, found }: Stage, victims: readonly string[]): Promise<void> {
  const before = facade.status();
  const ledger = new Ledger(facade.url('router'));
  await until('writes before', COUNT_LIMIT_MS, () => (ledger.acknowledged >= WRITES_AROUND ? true : null));
  const killedAt = performance.now();
  for (const id of victims) {
    const pid = before.members.find(member => member.id === id)?.postmasterPid;
    if (pid) process.kill(pid, 'SIGKILL');
    found('killed', `${id}${id === before.primary ? ', the primary' : ''} (process ${pid})`);
  }
  const open = await until('an open primary of a new term', HEAL_LIMIT_MS, () => {
    const status = facade.status();
    return status.term > before.term && status.verdict !== 'no-primary' ? status : null;
  });
  found('led by', `${open.primary} in term ${open.term}, ${Math.round(performance.now() - killedAt)} ms after the kill`);
  const reached = ledger.acknowledged + WRITES_AROUND;
  await until('writes after', COUNT_LIMIT_MS, () => (ledger.acknowledged >= reached ? true : null));
  tellPhases({ facade, found }, open.term);
  const { acknowledged, lost, errors, longestGapMs, reconnects } = await ledger.finish();
  found('no write acknowledged for', `${longestGapMs} ms at the longest`);
  found('the client', `${acknowledged} writes acknowledged, ${errors} errors, ${reconnects} connections broken`);
  found('acknowledged and lost', String(lost));
}

function tellPhases({ facade, found }: Stage, term: number): void {
  const record = facade.state().history.find(each => each.term === term);
  if (!record) return;
  const phases = Object.entries(phasesMs(record)).flatMap(([name, ms]) => (ms === null ? [] : [`${name} ${Math.round(ms)} ms`]));
  found('phases', phases.join(', '));
  found('because', record.reason);
}

async function comeBack({ facade, found }: Stage): Promise<void> {
  const { history } = facade.state();
  const leader = history.at(-1)?.primary;
  // An election that had to be repeated leaves several terms of one leader.
  const beforeLeader = history.findLastIndex(({ primary }) => primary !== leader);
  const former = history[beforeLeader]?.primary;
  const last = history[beforeLeader + 1];
  if (!former || !last) {
    throw new UnderstudyError('intent-refused', { why: 'No primary has been replaced yet: play the chapter “The primary dies” first.' });
  }
  const back = await until(`${former} as a replica`, HEAL_LIMIT_MS, () => {
    const member = facade.status().members.find(each => each.id === former);
    return member?.role === 'replica' && member.state === 'running' && member.detail === null ? member : null;
  });
  const told = facade.eventsAfter(0, Number.MAX_SAFE_INTEGER).filter(event => event.member === former && event.atMs >= last.raisedAtMs);
  for (const { kind, message, atMs } of told) {
    const shown = ['server-exited', 'wal-archived', 'rewind-finished', 'clone-finished', 'following'].includes(kind);
    if (shown) found(`${kind}, ${seconds(atMs - last.raisedAtMs)} after the election began`, message);
  }
  found(former, `replica on timeline ${back.timeline}, ${formatBytes(back.lagBytes ?? 0)} behind`);
}

async function names({ facade, found }: Stage): Promise<void> {
  const status = facade.status();
  const primary = primaryOf(status);
  for (const { id } of [primary, ...replicasOf(status)]) {
    const inRecovery = await withClient(memberUrl(facade, id), async client => {
      const { rows } = await client.query<{ answer: boolean }>('select pg_is_in_recovery() as answer');
      return rows[0]?.answer;
    });
    const words = inRecovery ? 'replica (once: slave, follower, standby)' : 'primary (once: master, leader)';
    found(id, `pg_is_in_recovery() = ${inRecovery}: ${words}`);
  }
  const leaders = facade.state().history.map(({ term, primary: id }) => `term ${term}: ${id}`);
  found('who has led', leaders.slice(-8).join(', '));
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
