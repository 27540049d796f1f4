import type { JSX } from 'preact';
import type { MemberStatus, StatusDocument } from '../../../server/src/api/types.ts';
import { formatBytes, formatDuration } from '../model/format.ts';
import { isLagging, slowStageOf, type Stage, stagesOf } from '../model/lag.ts';
import { sourceOf, standingOf } from '../model/standing.ts';
import { isCompact, type Rect } from '../model/topology.ts';
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
    <article
      class={`card member role-${leads ? 'primary' : member.role} state-${member.state}`}
      style={placed(rect)}
      aria-label={`Member ${member.id}`}
    >
      <header>
        <h3>
          <button
            type="button"
            class="member-name"
            onClick={() => (dialog.value = { kind: 'member', id: member.id })}
            title="All that is known of it"
          >
            {member.id}
          </button>
        </h3>
        <span class="role">
          {leads ? 'primary' : member.standbyLeader ? 'standby leader' : member.role === 'none' ? 'no role' : member.role}
        </span>
        <span class="state">{member.state}</span>
      </header>
      <dl class="rows">{leads ? <PrimaryRows member={member} status={status} /> : <ReplicaRows member={member} />}</dl>
      {!leads && <Stages member={member} status={status} />}
      <CohortMark member={member} status={status} leads={leads} />
      <footer>{!leads && <Actions id={member.id} isCompact={isCompact(rect)} />}</footer>
    </article>
  );
}

function Actions({ id, isCompact }: { readonly id: string; readonly isCompact: boolean }): JSX.Element {
  return (
    <>
      <button type="button" class="button" onClick={() => request({ kind: 'switchover', to: id })}>
        <Icon name="swap" /> Make primary
      </button>
      <button
        type="button"
        class="button button-remove"
        aria-label={`Remove ${id}`}
        title={`Remove ${id}`}
        onClick={() => request({ kind: 'remove-replica', id })}
      >
        <Icon name="trash" /> {isCompact ? '' : 'Remove'}
      </button>
    </>
  );
}

function PrimaryRows({ member, status }: { readonly member: MemberStatus; readonly status: StatusDocument }): JSX.Element {
  const others = status.members.filter(other => other.id !== member.id && sourceOf(other, status) === member.id);
  const streaming = others.filter(other => other.role === 'replica' && other.state === 'running' && other.detail === null);
  return (
    <>
      <Row name="LSN">
        <Position member={member} />
      </Row>
      <Row name="Term">{status.term}</Row>
      <Row name="Port">{member.port}</Row>
      <Row name="Followed by">{`${streaming.length} of ${others.length}`}</Row>
    </>
  );
}

function ReplicaRows({ member }: { readonly member: MemberStatus }): JSX.Element {
  return (
    <>
      <Row name="LSN">
        <Position member={member} />
      </Row>
      {member.detail === null ? (
        <Row name="Lag" tint={isLagging(member) ? 'lagging' : undefined}>
          {member.lagBytes === null ? '–' : `${formatBytes(member.lagBytes)} · ${formatDuration(member.lagMs ?? 0)}`}
        </Row>
      ) : (
        <Row name="It is" tint="lagging">
          {member.detail}
        </Row>
      )}
    </>
  );
}

/** How far each stage of replication is behind the primary, and which of them keeps the others waiting. */
function Stages({ member, status }: { readonly member: MemberStatus; readonly status: StatusDocument }): JSX.Element {
  const primary = status.members.find(candidate => candidate.id === status.primary);
  const stages = stagesOf(primary, member);
  const slow = slowStageOf(stages, member);
  return (
    <dl class="stages" aria-label="Lag by stage">
      {stages.map(stage => (
        <div key={stage.name} class={stage.name === slow ? 'slow' : undefined} title={stageInWords(stage)}>
          <dt>{stage.name}</dt>
          <dd>{stage.bytes === null ? '–' : stage.bytes === 0 ? 'all' : `−${formatBytes(stage.bytes)}`}</dd>
        </div>
      ))}
    </dl>
  );
}

function stageInWords({ name, bytes, ms }: Stage): string {
  if (bytes === null) return `How much WAL is not ${name} is not known`;
  return `${formatBytes(bytes)} of the primary's WAL ${ms === null ? 'are' : `and ${formatDuration(ms)} are`} not ${name} yet`;
}

/** An LSN and the timeline that it is on. */
function Position({ member }: { readonly member: MemberStatus }): JSX.Element {
  return (
    <>
      <code>{member.replayLsn ?? '–'}</code>
      {member.timeline !== null && <span class="timeline"> TL {member.timeline}</span>}
    </>
  );
}

function CohortMark({
  member,
  status,
  leads,
}: {
  readonly member: MemberStatus;
  readonly status: StatusDocument;
  readonly leads: boolean;
}): JSX.Element {
  const { mode, acks, cohort } = status.durability;
  if (leads)
    return <p class="cohort">{acks > 0 ? `A commit waits for ${acks} of ${cohort.join(', ')}.` : 'A commit waits for no replica.'}</p>;
  const standing = standingOf(member);
  if (standing !== null)
    return (
      <p class="cohort standing" title="By choice; no commit waits for it">
        {standing}
      </p>
    );
  if (mode === 'async') return <p class="cohort">Commits do not wait for it.</p>;
  if (!member.inCohort)
    return (
      <p class="cohort cohort-out" title="Its acknowledgement does not count for commits">
        Not in the cohort
      </p>
    );
  return (
    <p class="cohort cohort-in" title="Its acknowledgement counts for commits">
      <Icon name="check" /> In the cohort
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
