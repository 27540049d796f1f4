import type { JSX } from 'preact';
import type { MemberStatus, StatusDocument } from '../../../server/src/api/types.ts';
import { formatBytes, formatDuration, formatRate, plural } from '../model/format.ts';
import { isLagging } from '../model/lag.ts';
import type { Rates } from '../model/samples.ts';
import { sourceOf } from '../model/standing.ts';
import { type Arrow, type Layout, layoutOf, statementArrow, walArrow } from '../model/topology.ts';
import { contact, elections, latest, status } from '../state/store.ts';
import { MemberCard } from './member-card.tsx';
import { placed } from './place.ts';
import { RouterCard } from './router-card.tsx';
import { useWidth } from './use-width.ts';

/** One arrow of the picture and what is written on it. */
interface Flow {
  readonly key: string;
  readonly kind: 'writes' | 'reads' | 'wal' | 'copy';
  readonly arrow: Arrow;
  /** Nothing flows, or it cannot: drawn faint, or broken. */
  readonly state: 'flowing' | 'still' | 'lagging' | 'broken';
  readonly label: string | null;
}

/** Room is kept for so many before the first answer. */
const MEMBERS_EXPECTED = 3;

/** The router above, the members below it in the order of their names: they keep their places when the roles change. */
export function Topology(): JSX.Element {
  const [element, width] = useWidth<HTMLDivElement>();
  const known = status.value;
  const members = known ? known.members.toSorted((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true })) : [];
  const layout = layoutOf(width, members.length || MEMBERS_EXPECTED);
  const flows = known ? flowsOf(known, members, layout, latest.value?.rates ?? null) : [];
  return (
    <section class="panel topology" aria-label="Topology">
      <div
        ref={element}
        class={`canvas canvas-${layout.kind}${contact.value.kind === 'lost' ? ' stale' : ''}`}
        style={{ height: `${layout.height}px` }}
      >
        {width > 0 && known && (
          <>
            <Arrows layout={layout} flows={flows} />
            <RouterCard rect={layout.router} status={known} rates={latest.value?.rates ?? null} />
            {members.map((member, i) => (
              <MemberCard key={member.id} rect={layout.cards[i]!} member={member} status={known} />
            ))}
            {flows.map(flow => flow.label && <FlowLabel key={flow.key} flow={flow} maxWidth={layout.cards[0]!.width} />)}
          </>
        )}
      </div>
      <Legend />
    </section>
  );
}

function flowsOf(known: StatusDocument, members: readonly MemberStatus[], layout: Layout, rates: Rates | null): readonly Flow[] {
  const primary = members.findIndex(member => member.id === known.primary);
  const open = known.verdict !== 'no-primary';
  const lost = known.primary === null ? members.findIndex(member => member.id === elections.value[0]?.from) : -1;
  return members.flatMap((member, i) => {
    if (i === lost) return [lostWritesFlow(layout, i, known.router.held)];
    const isPrimary = i === primary;
    const reads = rates === null ? null : (rates.reads[member.id] ?? 0);
    const flows: Flow[] = [];
    if (isPrimary) flows.push(writesFlow(layout, i, open, rates, reads));
    else if (member.role === 'replica') flows.push(readsFlow(layout, i, member, reads));
    const source = members.findIndex(({ id }) => id === sourceOf(member, known));
    if (!isPrimary && source >= 0) flows.push(walFlow(layout, source, i, member));
    return flows;
  });
}

function writesFlow(layout: Layout, index: number, open: boolean, rates: Rates | null, reads: number | null): Flow {
  const also = reads !== null && reads > 0 ? ` · ${formatRate(reads)} reads/s` : '';
  return {
    key: 'writes',
    kind: 'writes',
    arrow: statementArrow(layout, index, 'writes'),
    state: open ? ((rates?.writes ?? 0) > 0 ? 'flowing' : 'still') : 'broken',
    label: open ? `${formatRate(rates?.writes ?? null)} writes/s${also}` : 'not open yet',
  };
}

/** Where the writes went before there was nobody to take them. */
function lostWritesFlow(layout: Layout, index: number, held: number): Flow {
  const label = held > 0 ? `no writes · ${plural(held, 'statement')} held` : 'no writes';
  return { key: 'writes', kind: 'writes', arrow: statementArrow(layout, index, 'writes'), state: 'broken', label };
}

function readsFlow(layout: Layout, index: number, member: MemberStatus, reads: number | null): Flow {
  const running = member.state === 'running';
  return {
    key: `reads-${member.id}`,
    kind: 'reads',
    arrow: statementArrow(layout, index, 'reads'),
    state: running ? ((reads ?? 0) > 0 ? 'flowing' : 'still') : 'broken',
    label: running ? `${formatRate(reads)} reads/s` : null,
  };
}

function walFlow(layout: Layout, source: number, index: number, member: MemberStatus): Flow {
  const state = walState(member);
  const copies = member.state === 'cloning' || member.state === 'rewinding';
  const isCommon = state === 'flowing' && !copies && member.cascade === undefined;
  const arrow = walArrow(layout, source, index, isCommon ? 'common' : 'apart');
  // In a stack there is no room on the arrow; the card says the same.
  const label = layout.kind === 'columns' ? walLabel(member) : null;
  return { key: `wal-${member.id}`, kind: copies ? 'copy' : 'wal', arrow, state, label };
}

function walState(member: MemberStatus): Flow['state'] {
  if (member.state === 'cloning' || member.state === 'rewinding') return 'flowing';
  if (member.role !== 'replica' || member.state !== 'running' || member.detail !== null || member.cascade?.from === null) return 'broken';
  return isLagging(member) ? 'lagging' : 'flowing';
}

function walLabel(member: MemberStatus): string {
  if (member.detail !== null || member.state !== 'running') return member.detail ?? member.state;
  return member.lagBytes === null ? 'lag not known' : `lag ${formatBytes(member.lagBytes)} · ${formatDuration(member.lagMs ?? 0)}`;
}

function Arrows({ layout, flows }: { readonly layout: Layout; readonly flows: readonly Flow[] }): JSX.Element {
  return (
    <svg class="arrows" width={layout.width} height={layout.height} aria-hidden="true">
      <defs>
        {(['writes', 'reads', 'wal', 'copy', 'lagging', 'broken'] as const).map(kind => (
          <marker
            key={kind}
            id={`head-${kind}`}
            class={`head head-${kind}`}
            viewBox="0 0 8 8"
            refX="6"
            refY="4"
            markerWidth="8"
            markerHeight="8"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 0 8 4 0 8z" />
          </marker>
        ))}
      </defs>
      {flows.map(flow => (
        <g key={flow.key} class={`flow flow-${flow.kind} flow-${flow.state}`}>
          <path class="track" d={flow.arrow.path} marker-end={`url(#head-${headOf(flow)})`} />
          {flow.state !== 'broken' && flow.state !== 'still' && <path class="pulse" d={flow.arrow.path} />}
        </g>
      ))}
    </svg>
  );
}

function headOf(flow: Flow): string {
  return flow.state === 'lagging' || flow.state === 'broken' ? flow.state : flow.kind;
}

function FlowLabel({ flow, maxWidth }: { readonly flow: Flow; readonly maxWidth: number }): JSX.Element {
  return (
    <span class={`flow-label label-${flow.kind} label-${flow.state}`} style={{ ...placed(flow.arrow.label), maxWidth: `${maxWidth}px` }}>
      {flow.label}
    </span>
  );
}

function Legend(): JSX.Element {
  return (
    <ul class="legend topology-legend">
      <li class="key-writes">writes, all to the primary</li>
      <li class="key-reads">reads, spread over replicas</li>
      <li class="key-wal">WAL, to each replica</li>
    </ul>
  );
}
