import type { JSX } from 'preact';
import type { TourChapter } from '../../../server/src/api/types.ts';
import { formatCount, formatRate } from '../model/format.ts';
import { dialog, token } from '../state/store.ts';
import { chapter, chosen, closeTour, openTour, playChapter, tour, tourBusy, tourFailure } from '../state/tour.ts';
import { Icon } from './icons.tsx';

/** Opens the tour, which stands above the picture that it talks about. */
export function TourButton(): JSX.Element {
  return (
    <button type="button" class="button button-primary" aria-expanded={tour.value !== null} onClick={() => toggle()}>
      <Icon name="play" /> {tour.value === null ? 'Guided tour' : 'End the tour'}
    </button>
  );
}

function toggle(): void {
  void (tour.value === null ? openTour() : closeTour(token.value));
}

/** Chapters that the reader starts one after the other; all that they show was measured on this cluster. */
export function Tour(): JSX.Element | null {
  const known = tour.value;
  const now = chapter.value;
  if (!known || !now) return null;
  return (
    <section class="panel tour" aria-labelledby="tour-title">
      <header class="panel-head">
        <h2 id="tour-title">Guided tour</h2>
        <span class="aside" role="status">
          {known.workload
            ? `a small blog works: ${formatRate(known.workload.readsPerSecond)} reads/s, ${formatRate(known.workload.writesPerSecond)} writes/s, ${formatCount(known.workload.failed)} errors`
            : 'with the first chapter a small blog begins to work on this cluster'}
        </span>
      </header>
      <nav class="chapters" aria-label="Chapters">
        {known.chapters.map((each, i) => (
          <button
            key={each.id}
            type="button"
            class={`chapter-${each.state}`}
            aria-current={each.id === now.id ? 'step' : undefined}
            onClick={() => (chosen.value = each.id)}
          >
            {i + 1}. {each.title}
            {each.state === 'done' && <Icon name="check" />}
          </button>
        ))}
      </nav>
      <div class="chapter">
        <Idea now={now} />
        <Findings now={now} />
      </div>
    </section>
  );
}

function Idea({ now }: { readonly now: TourChapter }): JSX.Element {
  const play = (): void => {
    if (token.value === null) dialog.value = { kind: 'unlock', next: null, why: null };
    else void playChapter(now.id, token.value);
  };
  const next = tour.value?.chapters[tour.value.chapters.findIndex(each => each.id === now.id) + 1];
  return (
    <div>
      <h3>{now.title}</h3>
      <p>{now.idea}</p>
      <p class="aside">
        <strong>What is done:</strong> {now.doing}
      </p>
      <div class="chapter-actions">
        <button type="button" class="button" data-play={now.id} disabled={tourBusy.value} onClick={play}>
          <Icon name="play" /> {now.state === 'running' ? 'Playing…' : now.state === 'ready' ? 'Play' : 'Play again'}
        </button>
        {next && (
          <button type="button" class="button" disabled={tourBusy.value} onClick={() => (chosen.value = next.id)}>
            Next: {next.title}
          </button>
        )}
      </div>
      {tourFailure.value && (
        <p class="callout tone-warning" role="alert">
          {tourFailure.value}
        </p>
      )}
    </div>
  );
}

function Findings({ now }: { readonly now: TourChapter }): JSX.Element {
  return (
    <div>
      <dl class="rows findings" aria-live="polite" data-state={now.state}>
        {now.findings.map(({ label, value }, i) => (
          <div key={i}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        {now.findings.length === 0 && (
          <div>
            <dt>{now.state === 'running' ? 'measuring…' : 'Nothing has been measured yet.'}</dt>
            <dd />
          </div>
        )}
      </dl>
      {now.state === 'done' && (
        <details class="question" key={now.id}>
          <summary>{now.question}</summary>
          <p>{now.answer}</p>
        </details>
      )}
    </div>
  );
}
