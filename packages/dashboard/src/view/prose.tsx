import type { JSX } from 'preact';

/** A sentence of the API, in which commands stand between backticks. */
export function Prose({ text }: { readonly text: string }): JSX.Element {
  return (
    <>
      {text.split('`').map((part, i) => {
        // The odd parts are those between two backticks.
        return i % 2 === 1 ? <code key={`${i} ${part}`}>{part}</code> : part;
      })}
    </>
  );
}
