import type { JSX } from 'preact';
import { formatClock, formatDuration } from '../model/format.ts';
import { type Notice, noticesOf } from '../model/notices.ts';
import { totalMsOf } from '../model/elections.ts';
import { contact, elections, status } from '../state/store.ts';
import { Icon } from './icons.tsx';
import { Prose } from './prose.tsx';

/** The state of the cluster in words, as loud as it is grave. */
export function Verdict(): JSX.Element {
  const [headline, ...others] = noticesOf(status.value, contact.value);
  return (
    <section class={`verdict tone-${headline.tone}`} aria-label="State of the cluster">
      <div class="headline" role={headline.tone === 'danger' ? 'alert' : 'status'}>
        <h2>
          <ToneIcon tone={headline.tone} />
          {headline.title}
        </h2>
        <p>
          <Prose text={headline.text} />
        </p>
      </div>
      {others.length > 0 && (
        <ul class="notices">
          {others.map(notice => (
            <li key={notice.title} class={`tone-${notice.tone}`}>
              <ToneIcon tone={notice.tone} />
              <span>
                <strong>{notice.title}</strong> <Prose text={notice.text} />
              </span>
            </li>
          ))}
        </ul>
      )}
      <Facts />
    </section>
  );
}

function ToneIcon({ tone }: { readonly tone: Notice['tone'] }): JSX.Element {
  return <Icon name={tone === 'good' ? 'check' : tone === 'note' ? 'info' : 'warning'} />;
}

/** Who leads since when and why, and what an acknowledged commit is worth. */
function Facts(): JSX.Element {
  const known = status.value;
  const last = elections.value.find(election => election.outcome === 'complete');
  const leads = known?.primary && last?.to === known.primary ? last : null;
  return (
    <dl class="facts">
      <div>
        <dt>Primary</dt>
        <dd>{known ? (known.primary ?? 'none') : '–'}</dd>
        <dd class="aside" title={leads?.reason}>
          {leads ? `since ${formatClock(leads.endedAtMs)}: ${leads.reason}` : '\u00a0'}
        </dd>
      </div>
      <div>
        <dt>Term</dt>
        <dd>{known?.term ?? '–'}</dd>
        <dd class="aside">{leads && leads.cause !== 'first' ? `${leads.cause} in ${formatDuration(totalMsOf(leads))}` : '\u00a0'}</dd>
      </div>
      <div>
        <dt>Acknowledged writes</dt>
        <dd>{known ? (known.durability.protected ? 'protected' : 'not protected') : '–'}</dd>
        <dd class="aside">{known ? durabilityInWords(known.durability) : '\u00a0'}</dd>
      </div>
    </dl>
  );
}

function durabilityInWords({
  mode,
  acks,
  cohort,
}: {
  readonly mode: string;
  readonly acks: number;
  readonly cohort: readonly string[];
}): string {
  if (mode === 'async') return 'commits wait for no replica (async)';
  return acks === 0 ? 'no replica has to acknowledge' : `${acks} of ${cohort.join(', ')} must hold a commit first`;
}
