import type { JSX } from 'preact';
import { dialog, status } from '../state/store.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { MemberDialog } from './member-dialog.tsx';
import { UnlockDialog } from './unlock-dialog.tsx';

/** The dialog that is open, if any. */
export function Dialogs(): JSX.Element | null {
  const open = dialog.value;
  const known = status.value;
  switch (open.kind) {
    case 'none':
      return null;
    case 'unlock':
      return <UnlockDialog next={open.next} why={open.why} />;
    case 'confirm':
      return known && <ConfirmDialog key={JSON.stringify(open.operation)} operation={open.operation} status={known} />;
    case 'member':
      return known && <MemberDialog id={open.id} status={known} />;
    default:
      return open satisfies never;
  }
}
