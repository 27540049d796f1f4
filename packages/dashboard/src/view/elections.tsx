import type { JSX } from 'preact';
import { type Election, type Phase, type PhaseName, totalMsOf } from '../model/elections.ts';
import { formatBytes, formatClock, formatDuration } from '../model/format.ts';
import { elections } from '../state/store.ts';

/** What each phase is called, and what happens in it. */
const PHASE_WORDS: Readonly<Record<PhaseName, readonly [label: string, meaning: string]>> = {
  detect: ['Detect', 'from the first sign of trouble until somebody raises the term'],
  recruit: ['Recruit', 'members promise to take no more WAL from the old primary'],
  choose: ['Choose', 'the most advanced of them is elected'],
  promote: ['Promote', 'it opens a new timeline'],
  establish: ['Establish', 'enough replicas hold the point of promotion'],
  switch: ['Switch', 'the router sends writes there'],
};

const SHOWN = 8;

/** Each change of the primary, its phases to scale. */
export function Elections(): JSX.Element {
  const shown = elections.value.slice(0, SHOWN);
  const longestMs = Math.max(1, ...shown.map(totalMsOf));
  return (
    <section class="panel elections" aria-labelledby="elections-title">
      <header class="panel-head">
        <h2 id="elections-title">Changes of the primary</h2>
      </header>
      {shown.length === 0 ? (
        <p class="empty">None is known. Choose “Make primary” on a replica to see one.</p>
      ) : (
        <ol tabIndex={0} aria-label="Changes of the primary, newest first">
          {shown.map((election, i) => (
            <ElectionEntry key={election.term} election={election} longestMs={longestMs} isNewest={i === 0} />
          ))}
        </ol>
      )}
    </section>
  );
}

interface ElectionEntryProps {
  readonly election: Election;
  readonly longestMs: number;
  readonly isNewest: boolean;
}

function ElectionEntry({ election, longestMs, isNewest }: ElectionEntryProps): JSX.Element {
  const totalMs = totalMsOf(election);
  return (
    <li class={`election outcome-${election.outcome}`}>
      <div class="election-head">
        <h3>
          {titleOf(election)} <span class="term">term {election.term}</span>
        </h3>
        <strong class="total">
          {election.cause === 'first' ? '' : election.outcome === 'complete' ? formatDuration(totalMs) : election.outcome.replace('-', ' ')}
        </strong>
        <time dateTime={new Date(election.startedAtMs).toISOString()}>{formatClock(election.startedAtMs, 'milliseconds')}</time>
      </div>
      {election.cause !== 'first' && <Phases election={election} longestMs={longestMs} isNewest={isNewest} />}
      <p class="reason">{election.reason}</p>
      {isNewest && election.choice && <p class="reason">{election.choice}</p>}
      {election.lostBytes > 0 && (
        <p class="reason loss">{formatBytes(election.lostBytes)} of the old primary's WAL did not reach the new one.</p>
      )}
    </li>
  );
}

function titleOf({ cause, from, to }: Election): string {
  if (cause === 'first') return `${to} leads`;
  const name = cause === 'switchover' ? 'Switchover' : 'Failover';
  if (from !== null && from === to) return `${name}: ${to} stays`;
  return `${name}: ${from ?? '?'} → ${to ?? '…'}`;
}

/** A bar to the scale of the slowest election, and the same in figures. */
function Phases({ election, longestMs, isNewest }: ElectionEntryProps): JSX.Element {
  const { phases } = election;
  const width = `${Math.max(4, (totalMsOf(election) / longestMs) * 100)}%`;
  return (
    <>
      <div class="bar" style={{ width }} aria-hidden="true">
        {phases.map(phase => (
          <i
            key={phase.name}
            class={`phase-${phase.name}`}
            style={{ flexGrow: String(Math.max(phase.ms, 0.001)) }}
            title={describe(phase)}
          />
        ))}
        {election.outcome === 'under-way' && <i class="phase-open" />}
      </div>
      <ul class={isNewest ? 'phases phases-full' : 'phases'}>
        {phases.map(phase => (
          <li key={phase.name} title={PHASE_WORDS[phase.name][1]}>
            <i class={`phase-${phase.name}`} />
            {labelOf(phase.name, election)} <b>{formatDuration(phase.ms)}</b>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Before a planned change nothing is detected: sessions are drained, and the primary shut down. */
function labelOf(name: PhaseName, { cause }: Election): string {
  return name === 'detect' && cause === 'switchover' ? 'Drain' : PHASE_WORDS[name][0];
}

function describe({ name, ms }: Phase): string {
  return `${PHASE_WORDS[name][0]} ${formatDuration(ms)}: ${PHASE_WORDS[name][1]}`;
}
