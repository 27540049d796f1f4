import type { ClusterEvent } from '@understudy/core/cluster';
import type { JSX } from 'preact';
import { EVENT_GROUPS, type EventGroup, filterEvents, toneOf } from '../model/events.ts';
import { formatClock, plural } from '../model/format.ts';
import { eventFilter, events } from '../state/store.ts';

/** More than anybody reads; the filter looks through all that are kept. */
const SHOWN_MAX = 250;

const GROUP_LABELS: Readonly<Record<EventGroup, string>> = {
  all: 'All',
  elections: 'Elections',
  members: 'Members',
  router: 'Router',
  operator: 'Operator',
};

/** What happened, newest first. */
export function Events(): JSX.Element {
  const filter = eventFilter.value;
  const found = filterEvents(events.value, filter);
  return (
    <section class="panel events" aria-labelledby="events-title">
      <header class="panel-head">
        <h2 id="events-title">Events</h2>
        <span class="aside" role="status">
          {found.length === events.value.length
            ? plural(found.length, 'event')
            : `${found.length} of ${plural(events.value.length, 'event')}`}
        </span>
      </header>
      <div class="filter">
        <input
          type="search"
          aria-label="Filter events"
          placeholder="Filter: n2 promised, term 3 …"
          value={filter.text}
          onInput={event => (eventFilter.value = { ...filter, text: event.currentTarget.value })}
        />
        <div class="segments" role="group" aria-label="Events about">
          {EVENT_GROUPS.map(group => (
            <button
              key={group}
              type="button"
              aria-pressed={group === filter.group}
              onClick={() => (eventFilter.value = { ...filter, group })}
            >
              {GROUP_LABELS[group]}
            </button>
          ))}
        </div>
      </div>
      <ol class="event-list" tabIndex={0} aria-label="Events, newest first">
        {found.slice(0, SHOWN_MAX).map(event => (
          <EventEntry key={event.id} event={event} />
        ))}
        {found.length === 0 && (
          <li class="empty">{events.value.length === 0 ? 'Nothing has happened yet.' : 'No event fits the filter.'}</li>
        )}
      </ol>
    </section>
  );
}

export function EventEntry({ event }: { readonly event: ClusterEvent }): JSX.Element {
  const inputs = Object.entries(event.inputs);
  return (
    <li class={`event tone-${toneOf(event.kind)}`}>
      <time dateTime={new Date(event.atMs).toISOString()}>{formatClock(event.atMs, 'milliseconds')}</time>
      <span class="kind">{event.kind}</span>
      <span class="who">
        {event.member}
        {event.term === null ? '' : ` t${event.term}`}
      </span>
      <span class="message">{event.message}</span>
      {inputs.length > 0 && (
        <details>
          <summary>facts</summary>
          <code>{inputs.map(([name, value]) => `${name}=${value}`).join('  ')}</code>
        </details>
      )}
    </li>
  );
}
