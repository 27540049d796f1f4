import { effect } from '@preact/signals';
import { render } from 'preact';
import { storedToken, takeTokenFromAddress } from './api/token.ts';
import { startFeed } from './state/feed.ts';
import { status, token } from './state/store.ts';
import './style/tokens.css';
import './style/page.css';
import './style/topology.css';
import './style/panels.css';
import './style/dialogs.css';
import './style/tour.css';
import { App } from './view/app.tsx';

const VERDICT_MARKS = { healthy: '●', degraded: '▲', 'no-primary': '✖' } as const;

token.value = takeTokenFromAddress() ?? storedToken();
window.addEventListener('hashchange', () => {
  token.value = takeTokenFromAddress() ?? token.value;
});

/** Seen in the tab even when the page is not. */
effect(() => {
  const known = status.value;
  document.title = known ? `${VERDICT_MARKS[known.verdict]} ${known.cluster}: ${known.verdict} · Understudy` : 'Understudy';
});

startFeed();
render(<App />, document.querySelector('#app')!);
