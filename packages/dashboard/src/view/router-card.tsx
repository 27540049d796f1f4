import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { StatusDocument } from '../../../server/src/api/types.ts';
import { formatCount, formatRate, formatShare } from '../model/format.ts';
import type { Rates } from '../model/samples.ts';
import type { Rect } from '../model/topology.ts';
import { Icon } from './icons.tsx';
import { placed } from './place.ts';

/** The one address: who uses it, what goes through it, and what waits in it. */
export function RouterCard({
  rect,
  status,
  rates,
}: {
  readonly rect: Rect;
  readonly status: StatusDocument;
  readonly rates: Rates | null;
}): JSX.Element {
  const { router, endpoints } = status;
  const share = rates?.onReplicas ?? null;
  return (
    <article class={`card router${router.held > 0 ? ' holding' : ''}`} style={placed(rect)}>
      <header>
        <h3>Router</h3>
        <CopyableAddress address={endpoints.router} />
      </header>
      <dl class="figures">
        <Figure name="Clients">{formatCount(router.clients)}</Figure>
        <Figure name="Writes/s" tint="writes">
          {formatRate(rates?.writes ?? null)}
        </Figure>
        <Figure name="Reads/s" tint="reads">
          {formatRate(rates?.readsTotal ?? null)}
        </Figure>
        <Figure name="On replicas">{share === null ? '–' : formatShare(share)}</Figure>
        <Figure name="Held" tint={router.held > 0 ? 'held' : undefined}>
          {formatCount(router.held)}
        </Figure>
      </dl>
    </article>
  );
}

interface FigureProps {
  readonly name: string;
  readonly tint?: 'writes' | 'reads' | 'held' | undefined;
  readonly children: ComponentChildren;
}

function Figure({ name, tint, children }: FigureProps): JSX.Element {
  return (
    <div class={tint ? `tint-${tint}` : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function CopyableAddress({ address }: { readonly address: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(address);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="address" onClick={() => void copy()} title={`Copy ${address}`}>
      <code>{address}</code>
      <Icon name={copied ? 'check' : 'copy'} />
      <span class="visually-hidden" role="status">
        {copied ? 'copied' : ''}
      </span>
    </button>
  );
}
