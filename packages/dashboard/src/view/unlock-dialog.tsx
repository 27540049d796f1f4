import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Operation } from '../api/operation.ts';
import { storeToken } from '../api/token.ts';
import { closeDialog, dialog, token } from '../state/store.ts';
import { Icon } from './icons.tsx';
import { Modal } from './modal.tsx';

/** Asks for the operator's token. Whether it is the right one is told by the first operation. */
export function UnlockDialog({ next, why }: { readonly next: Operation | null; readonly why: string | null }): JSX.Element {
  const [text, setText] = useState('');
  const unlock = (event: Event): void => {
    event.preventDefault();
    const given = text.trim();
    if (given === '') return;
    storeToken(given);
    token.value = given;
    dialog.value = next ? { kind: 'confirm', operation: next } : { kind: 'none' };
  };
  return (
    <Modal title="Unlock this page" onClose={closeDialog}>
      {why && (
        <p class="callout tone-danger" role="alert">
          {why}
        </p>
      )}
      <p>
        Looking needs nothing; changing the cluster needs its token. <code>understudy up</code> prints this page's address with it in a
        terminal; it also lies in <code>secrets.json</code> of the data directory, readable by its owner only.
      </p>
      <form onSubmit={unlock}>
        <label class="field">
          Token
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={text}
            onInput={event => setText(event.currentTarget.value)}
            autofocus
          />
        </label>
        <p class="aside">It is kept until this tab is closed.</p>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={closeDialog}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={text.trim() === ''}>
            <Icon name="unlock" /> Unlock
          </button>
        </div>
      </form>
    </Modal>
  );
}
