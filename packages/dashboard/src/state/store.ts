import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { ClusterEvent, TermRecord } from '@understudy/core/cluster';
import type { StatusDocument } from '../../../server/src/api/types.ts';
import type { Operation } from '../api/operation.ts';
import { type Election, electionsOf } from '../model/elections.ts';
import type { EventFilter } from '../model/events.ts';
import type { Contact } from '../model/notices.ts';
import type { Sample } from '../model/samples.ts';

/** The dialog that is open, one at a time. `next` is what the reader wanted before the page had to ask for the token. */
export type OpenDialog =
  | { readonly kind: 'none' }
  | { readonly kind: 'unlock'; readonly next: Operation | null; readonly why: string | null }
  | { readonly kind: 'confirm'; readonly operation: Operation }
  | { readonly kind: 'member'; readonly id: string };

/** All that the page knows. Written by the feed and by what the reader does; read by the views. */
export const status: Signal<StatusDocument | null> = signal(null);
export const contact: Signal<Contact> = signal<Contact>({ kind: 'connecting' });
export const samples: Signal<readonly Sample[]> = signal<readonly Sample[]>([]);
export const events: Signal<readonly ClusterEvent[]> = signal<readonly ClusterEvent[]>([]);
export const history: Signal<readonly TermRecord[]> = signal<readonly TermRecord[]>([]);
export const token: Signal<string | null> = signal(null);
export const dialog: Signal<OpenDialog> = signal<OpenDialog>({ kind: 'none' });
export const eventFilter: Signal<EventFilter> = signal<EventFilter>({ group: 'all', text: '' });

export const elections: ReadonlySignal<readonly Election[]> = computed(() => electionsOf(events.value, history.value));
export const latest: ReadonlySignal<Sample | null> = computed(() => samples.value.at(-1) ?? null);

/** Asks for confirmation of an operation, after the token if there is none yet. */
export function request(operation: Operation): void {
  dialog.value = token.value === null ? { kind: 'unlock', next: operation, why: null } : { kind: 'confirm', operation };
}

export function closeDialog(): void {
  dialog.value = { kind: 'none' };
}
