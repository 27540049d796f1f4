import pc from 'picocolors';

type Colors = ReturnType<typeof pc.createColors>;

/** Where a command writes: data to `out`, progress and words to `err`. Everything a command knows of its surroundings, so that tests can give others. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  /** Width of `out` in characters. */
  columns(): number;
  /** Colours for `out`; they do nothing when it is not a TTY or NO_COLOR is set. */
  readonly outColors: Colors;
  readonly errColors: Colors;
}

/** Width where there is none to ask. */
const COLUMNS_DEFAULT = 100;

/** The terminal, or the files and pipes, of this process. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const colors = (stream: NodeJS.WriteStream): Colors => pc.createColors(stream.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb');
  return {
    out: text => void stdout.write(text),
    err: text => void stderr.write(text),
    outIsTty: stdout.isTTY,
    errIsTty: stderr.isTTY,
    columns: () => stdout.columns ?? COLUMNS_DEFAULT,
    outColors: colors(stdout),
    errColors: colors(stderr),
  };
}

export type { Colors };
