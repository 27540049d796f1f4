import { startClient } from './client.ts';
import { startDirect } from './direct.ts';
import { startHaproxy } from './haproxy.ts';
import { startOdyssey } from './odyssey.ts';
import type { PeerName, StartPeer } from './peer.ts';
import { startPgbouncer } from './pgbouncer.ts';
import { startPgcat } from './pgcat.ts';
import { startPgpool } from './pgpool.ts';
import { startUnderstudy } from './understudy.ts';

export const STARTERS: Readonly<Record<PeerName, StartPeer>> = {
  direct: startDirect,
  understudy: startUnderstudy,
  client: startClient,
  pgbouncer: startPgbouncer,
  pgpool: startPgpool,
  haproxy: startHaproxy,
  odyssey: startOdyssey,
  pgcat: startPgcat,
};
