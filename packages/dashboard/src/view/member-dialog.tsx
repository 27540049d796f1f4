import type { JSX } from 'preact';
import type { MemberStatus, StatusDocument } from '../../../server/src/api/types.ts';
import { formatBytes, formatCount, formatDuration } from '../model/format.ts';
import { stagesOf } from '../model/lag.ts';
import { standingOf } from '../model/standing.ts';
import { closeDialog, events } from '../state/store.ts';
import { EventEntry } from './events.tsx';
import { Modal } from './modal.tsx';

const EVENTS_SHOWN = 12;

/** All that is known of one member. */
export function MemberDialog({ id, status }: { readonly id: string; readonly status: StatusDocument }): JSX.Element {
  const member = status.members.find(candidate => candidate.id === id);
  const recent = events.value.filter(event => event.member === id).slice(-EVENTS_SHOWN);
  return (
    <Modal title={`Member ${id}`} onClose={closeDialog}>
      {member ? <Details member={member} status={status} /> : <p>It is no longer part of the cluster.</p>}
      <h3>Its last events</h3>
      <ol class="event-list">
        {recent.toReversed().map(event => (
          <EventEntry key={event.id} event={event} />
        ))}
        {recent.length === 0 && <li class="empty">None.</li>}
      </ol>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={closeDialog} autofocus>
          Close
        </button>
      </div>
    </Modal>
  );
}

function Details({ member, status }: { readonly member: MemberStatus; readonly status: StatusDocument }): JSX.Element {
  const primary = status.members.find(candidate => candidate.id === status.primary);
  const stages = member.id === status.primary ? [] : stagesOf(primary, member);
  const rows: readonly (readonly [string, string | number | null])[] = [
    ['Role', member.role],
    ['State', member.detail === null ? member.state : `${member.state} (${member.detail})`],
    ...(standingOf(member) === null ? [] : [['By choice', standingOf(member)] as const]),
    ['Address', `${member.host}:${member.port}`],
    ['Timeline', member.timeline],
    ['WAL received to', member.receiveLsn],
    ['WAL replayed to', member.replayLsn],
    [
      'Lag',
      member.lagBytes === null
        ? null
        : `${formatBytes(member.lagBytes)} (${formatCount(member.lagBytes)} bytes), ${formatDuration(member.lagMs ?? 0)}`,
    ],
    ...stages.map(({ name, bytes, ms }): readonly [string, string | null] => [
      `Not ${name}`,
      bytes === null ? null : `${formatBytes(bytes)}${ms === null ? '' : `, ${formatDuration(ms)}`}`,
    ]),
    ['Acknowledges commits', member.id === status.primary ? null : member.inCohort && status.durability.acks > 0 ? 'yes' : 'no'],
    ['Reads answered', formatCount(status.router.reads[member.id] ?? 0)],
    ['Postmaster', member.postmasterPid],
    ['Agent', member.agentPid],
  ];
  return (
    <dl class="rows details">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? '–'}</dd>
        </div>
      ))}
    </dl>
  );
}
