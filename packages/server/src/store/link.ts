import type { ChangeResult, ClusterState, MemberReport, VersionedState } from '@understudy/core/cluster';

/** One end of a two-way, ordered channel of structured-clone values between two processes of one machine. */
export interface Link {
  /** `onSent`: the message has left this process; what is sent before that waits in memory. Never called on a closed link. */
  send(message: unknown, onSent?: () => void): void;
  onMessage(listener: (message: unknown) => void): void;
  onClose(listener: () => void): void;
}

/** What an agent asks of the store. */
export type StoreRequest =
  | { readonly kind: 'read'; readonly id: number }
  | { readonly kind: 'change'; readonly id: number; readonly expectedRevision: number; readonly next: ClusterState }
  | { readonly kind: 'report'; readonly id: number; readonly report: MemberReport };

/** What the store's process says to an agent. */
export type StoreMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly value: VersionedState | ChangeResult | null }
  | { readonly kind: 'error'; readonly id: number; readonly message: string }
  | { readonly kind: 'state'; readonly now: VersionedState }
  | { readonly kind: 'heard'; readonly report: MemberReport };

/** Channels share one link: each message says which it belongs to. */
export interface Envelope {
  readonly channel: string;
  readonly body: unknown;
}

/** One named channel of a link; what others say on it is ignored here. */
export function channel(link: Link, name: string): Link {
  return {
    send: (body, onSent) => link.send({ channel: name, body } satisfies Envelope, onSent),
    onMessage: listener =>
      link.onMessage(message => {
        const envelope = message as Partial<Envelope>;
        if (envelope.channel === name) listener(envelope.body);
      }),
    onClose: listener => link.onClose(listener),
  };
}
