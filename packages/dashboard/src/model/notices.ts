import type { StatusDocument } from '../../../server/src/api/types.ts';
import { formatClock, plural } from './format.ts';

export type Tone = 'good' | 'note' | 'warning' | 'danger';

/** Something that the operator must not overlook. */
export interface Notice {
  readonly tone: Tone;
  readonly title: string;
  readonly text: string;
}

/** Whether the page hears the supervisor. */
export type Contact =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'lost'; readonly sinceMs: number; readonly why: string };

/** What to say about this cluster, the gravest first; the first is the headline. Never empty. */
export function noticesOf(status: StatusDocument | null, contact: Contact): readonly [Notice, ...Notice[]] {
  const lost = lostContact(contact, status !== null);
  if (status === null) return [lost ?? { tone: 'note', title: 'Connecting', text: 'Asking the supervisor for the state of the cluster.' }];
  const others = [lost, withoutPrimary(status), ...alarms(status), withoutProtection(status), paused(status), verdict(status)];
  const [first, ...rest] = others.filter(notice => notice !== null);
  return [first ?? { tone: 'good', title: 'Healthy', text: status.summary }, ...rest];
}

function lostContact(contact: Contact, known: boolean): Notice | null {
  if (contact.kind !== 'lost') return null;
  const last = known ? ' What is shown is the last that was known.' : '';
  return {
    tone: 'danger',
    title: 'No contact',
    text: `The supervisor has not answered since ${formatClock(contact.sinceMs)} (${contact.why}).${last}`,
  };
}

function withoutPrimary(status: StatusDocument): Notice | null {
  if (status.verdict !== 'no-primary') return null;
  const held = status.router.held > 0 ? ` ${plural(status.router.held, 'statement')} held until there is one.` : '';
  return { tone: 'danger', title: 'No primary', text: `${sentence(status.summary.replace(/^No primary: /, ''), status)}${held}` };
}

/** With a capital letter, unless it begins with the name of a member. */
function sentence(text: string, { members }: StatusDocument): string {
  return members.some(member => text.startsWith(`${member.id} `)) ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

function alarms(status: StatusDocument): readonly Notice[] {
  return status.alarms.map(alarm => ({ tone: 'danger', title: `${alarm.member} needs a decision`, text: alarm.message }));
}

function withoutProtection(status: StatusDocument): Notice | null {
  if (status.durability.protected || status.verdict === 'no-primary') return null;
  if (status.durability.mode === 'async') {
    return {
      tone: 'note',
      title: 'Async durability',
      text: 'Commits are acknowledged before a replica has them. A failover may lose the last ones.',
    };
  }
  if (status.members.length === 1) {
    return { tone: 'warning', title: 'Not protected', text: 'There is one member and nothing to fail over to. Add a replica.' };
  }
  return {
    tone: 'danger',
    title: 'Writes are not protected',
    text: 'No replica has to hold a commit before it is acknowledged. If the primary is lost now, so are its last writes.',
  };
}

function paused(status: StatusDocument): Notice | null {
  if (!status.paused) return null;
  return { tone: 'warning', title: 'Paused', text: 'No automatic action is taken: a primary that is lost now is not replaced.' };
}

function verdict(status: StatusDocument): Notice | null {
  return status.verdict === 'degraded' ? { tone: 'warning', title: 'Degraded', text: status.summary } : null;
}
