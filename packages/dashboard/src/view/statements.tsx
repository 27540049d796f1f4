import type { JSX } from 'preact';
import { formatCount, formatDuration } from '../model/format.ts';
import { filterStatements, type ShownStatement, type StatementFilter } from '../model/statements.ts';
import { dialog, token } from '../state/store.ts';
import { statementFilter, statements, unwatchStatements, watching, watchStatements } from '../state/watch.ts';
import { Icon } from './icons.tsx';

/** More than anybody reads. */
const SHOWN_MAX = 60;
const KINDS: Readonly<Record<StatementFilter['kind'], string>> = { all: 'All', read: 'Reads', write: 'Writes', other: 'Other' };

/** Which statement went where, and why. The router tells it only while somebody looks. */
export function Statements(): JSX.Element {
  const state = watching.value;
  return (
    <section class="panel statements" aria-labelledby="statements-title">
      <header class="panel-head">
        <h2 id="statements-title">Routed statements</h2>
        <span class="aside" role="status">
          {state ? (state.why ?? `${formatCount(state.seen)} seen since you look`) : 'a live sample, without literals'}
        </span>
        <button type="button" class="button" aria-pressed={state !== null} onClick={toggle}>
          <Icon name={state ? 'pause' : 'play'} /> {state ? 'Stop' : 'Watch'}
        </button>
      </header>
      {state && <Live />}
    </section>
  );
}

function toggle(): void {
  if (watching.value) unwatchStatements();
  else if (token.value === null) dialog.value = { kind: 'unlock', next: null, why: null };
  else watchStatements(token.value);
}

function Live(): JSX.Element {
  const filter = statementFilter.value;
  const found = filterStatements(statements.value, filter).slice(0, SHOWN_MAX);
  return (
    <>
      <div class="filter">
        <input
          type="search"
          aria-label="Filter statements"
          placeholder="Filter: select posts, n2, fresh …"
          value={filter.text}
          onInput={event => (statementFilter.value = { ...filter, text: event.currentTarget.value })}
        />
        <div class="segments" role="group" aria-label="Statements that">
          {(Object.keys(KINDS) as StatementFilter['kind'][]).map(kind => (
            <button
              key={kind}
              type="button"
              aria-pressed={kind === filter.kind}
              onClick={() => (statementFilter.value = { ...filter, kind })}
            >
              {KINDS[kind]}
            </button>
          ))}
        </div>
      </div>
      <div class="statement-list" tabIndex={0} role="region" aria-label="Statements, newest first">
        <table>
          <thead>
            <tr>
              <th scope="col">Server</th>
              <th scope="col">Statement</th>
              <th scope="col">Why there</th>
              <th scope="col">Waited</th>
              <th scope="col">Took</th>
            </tr>
          </thead>
          <tbody>
            {found.map(statement => (
              <Row key={statement.key} statement={statement} />
            ))}
          </tbody>
        </table>
        {found.length === 0 && <p class="empty">No statement yet.</p>}
      </div>
    </>
  );
}

function Row({ statement }: { readonly statement: ShownStatement }): JSX.Element {
  return (
    <tr class={`statement-${statement.kind}`}>
      <td>{statement.member}</td>
      <td>
        <code title={statement.text}>{statement.text}</code>
      </td>
      <td>{statement.reason}</td>
      <td>{formatDuration(statement.waitMs)}</td>
      <td>{formatDuration(statement.runMs)}</td>
    </tr>
  );
}
