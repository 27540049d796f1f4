import type { JSX } from 'preact';
import { storeToken } from '../api/token.ts';
import { contact, dialog, request, status, token } from '../state/store.ts';
import { Icon } from './icons.tsx';
import { TourButton } from './tour.tsx';

/** Which cluster this is, whether the page hears it, and what can be done to it as a whole. */
export function Header(): JSX.Element {
  return (
    <header class="top">
      <div class="brand">
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
          <circle class="mark-primary" cx="12.5" cy="13" r="7" />
          <circle class="mark-replica" cx="20.5" cy="19.5" r="6.5" />
        </svg>
        <h1>
          Understudy <span class="cluster-name">{status.value?.cluster}</span>
        </h1>
        <LiveMark />
      </div>
      <ClusterActions />
    </header>
  );
}

function LiveMark(): JSX.Element {
  const { kind } = contact.value;
  const words = { connecting: 'connecting', live: 'live', lost: 'no contact' } as const;
  return (
    <span class={`live live-${kind}`} role="status">
      {words[kind]}
    </span>
  );
}

function ClusterActions(): JSX.Element {
  const paused = status.value?.paused ?? false;
  const absent = status.value === null;
  return (
    <div class="toolbar" role="toolbar" aria-label="Cluster">
      <TourButton />
      <button type="button" class="button" disabled={absent} onClick={() => request({ kind: 'add-replica' })}>
        <Icon name="plus" /> Add replica
      </button>
      <button type="button" class="button" disabled={absent} onClick={() => request({ kind: paused ? 'resume' : 'pause' })}>
        <Icon name={paused ? 'play' : 'pause'} /> {paused ? 'Resume' : 'Pause'}
      </button>
      <button type="button" class="button" disabled={absent} onClick={() => request({ kind: 'failover', acceptDataLoss: false })}>
        <Icon name="bolt" /> Failover
      </button>
      <LockButton />
    </div>
  );
}

function LockButton(): JSX.Element {
  if (token.value === null) {
    return (
      <button type="button" class="button button-lock" onClick={() => (dialog.value = { kind: 'unlock', next: null, why: null })}>
        <Icon name="lock" /> Read-only
      </button>
    );
  }
  const lock = (): void => {
    storeToken(null);
    token.value = null;
  };
  return (
    <button type="button" class="button button-lock" onClick={lock} title="Forget the token">
      <Icon name="unlock" /> Unlocked
    </button>
  );
}
