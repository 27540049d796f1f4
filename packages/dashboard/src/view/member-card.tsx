import type { JSX } from 'preact';
import type { MemberStatus, StatusDocument } from '../../../server/src/api/types.ts';
import { formatBytes, formatDuration } from '../model/format.ts';
import { isLagging, lagStages } from '../model/lag.ts';
import type { Rect } from '../model/topology.ts';
import { dialog, request } from '../state/store.ts';
import { Icon } from './icons.tsx';
import { placed } from './place.ts';

interface MemberCardProps {
  readonly rect: Rect;
  readonly member: MemberStatus;
  readonly status: StatusDocument;
}

/** One PostgreSQL server: what it is, where it stands, and what can be done with it. */
export function MemberCard({ rect, member, status }: MemberCardProps): JSX.Element {
  const leads = member.id === status.primary;
  return (
    <article class={`card member role-${leads ? 'primary' : member.role} state-${member.state}`} style={placed(rect)} aria-label={`Member ${member.id}`}>
      <header>
        <h3>
          <button type="button" class="member-name" onClick={() => (dialog.value = { kind: 'member', id: member.id })} title="All that is known of it">
            {member.id}
          </button>
        </h3>
        <span class="role">{leads ? 'primary' : member.role === 'none' ? 'no role' : member.role}</span>
        <span class="state">{member.state}</span>
      </header>
      <dl class="rows">
        <Row name="Timeline">{member.timeline ?? '–'}</Row>
        <Row name={leads ? 'Written to' : 'Replayed to'}>
          <code>{member.replayLsn ?? '–'}</code>
        </Row>
        {leads ? <PrimaryRows member={member} status={status} /> : <ReplicaRows member={member} status={status} />}
      </dl>
      <CohortMark member={member} status={status} leads={leads} />
      <footer>
        {!leads && (
          <>
            <button type="button" class="button" onClick={() => request({ kind: 'switchover', to: member.id })}>
              <Icon name="swap" /> Make primary
            </button>
            <button type="button" class="button" onClick={() => request({ kind: 'remove-replica', id: member.id })}>
              <Icon name="trash" /> Remove
            </button>
          </>
        )}
        {leads && <span class="hint">To move it, choose “Make primary” on a replica.</span>}
      </footer>
    </article>
  );
}

function PrimaryRows({ member, status }: { readonly member: MemberStatus; readonly status: StatusDocument }): JSX.Element {
  return (
    <>
      <Row name="Term">{status.term}</Row>
      <Row name="Port">{member.port}</Row>
    </>
  );
}

function ReplicaRows({ member, status }: { readonly member: MemberStatus; readonly status: StatusDocument }): JSX.Element {
  const primary = status.members.find(candidate => candidate.id === status.primary);
  const stages = lagStages(primary, member);
  return (
    <>
      <Row name="Lag" tint={isLagging(member) ? 'lagging' : undefined}>
        {member.lagBytes === null ? '–' : `${formatBytes(member.lagBytes)} · ${formatDuration(member.lagMs ?? 0)}`}
      </Row>
      <Row name="of that">
        {stages ? `${formatBytes(stages.transitBytes)} to receive, ${formatBytes(stages.replayBytes)} to replay` : (member.detail ?? '–')}
      </Row>
    </>
  );
}

function CohortMark({ member, status, leads }: { readonly member: MemberStatus; readonly status: StatusDocument; readonly leads: boolean }): JSX.Element {
  const { mode, acks } = status.durability;
  if (leads) return <p class="cohort">Takes every write.</p>;
  if (mode === 'async') return <p class="cohort">Commits do not wait for it.</p>;
  if (!member.inCohort) return <p class="cohort cohort-out">Not in the cohort: its acknowledgement does not count.</p>;
  return (
    <p class="cohort cohort-in">
      <Icon name="check" /> In the cohort{acks > 0 ? ': acknowledges commits' : ''}
    </p>
  );
}

interface RowProps {
  readonly name: string;
  readonly tint?: 'lagging' | undefined;
  readonly children: JSX.Element | string | number;
}

function Row({ name, tint, children }: RowProps): JSX.Element {
  return (
    <div class={tint}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
