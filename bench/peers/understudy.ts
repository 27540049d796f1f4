import type { Peer, PeerSetting } from './peer.ts';

/** The proxy as `understudy up` starts it. */
export function startUnderstudy(setting: PeerSetting): Promise<Peer> {
  return Promise.resolve({
    name: 'understudy',
    version: 'this checkout',
    endpoint: () => setting.router,
    pids: () => [setting.routerPid],
    stop: () => Promise.resolve(),
  });
}
