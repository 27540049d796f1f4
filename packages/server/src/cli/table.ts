export interface Column<Row> {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** Columns are left out from the highest number down until the table fits; 0 always stays. */
  readonly rank: number;
  readonly cell: (row: Row) => string;
  /** Colours a padded cell. */
  readonly paint?: (row: Row, text: string) => string;
}

const GAP = '  ';

/** Lines of a table no wider than `width`, if leaving out columns can do it. The first line is the titles. */
export function tableLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number): readonly string[] {
  let shown = columns.map(column => ({ column, width: Math.max(column.title.length, ...rows.map(row => column.cell(row).length)) }));
  while (lineWidth(shown) > width) {
    const highest = Math.max(...shown.map(({ column }) => column.rank));
    if (highest === 0) break;
    shown = shown.filter(({ column }) => column.rank !== highest);
  }
  const pad = (text: string, { column, width }: (typeof shown)[number]): string =>
    column.align === 'left' ? text.padEnd(width) : text.padStart(width);
  const titles = shown.map(each => pad(each.column.title, each)).join(GAP);
  const lines = rows.map(row =>
    shown
      .map(each => {
        const text = pad(each.column.cell(row), each);
        return each.column.paint ? each.column.paint(row, text) : text;
      })
      .join(GAP),
  );
  return [titles.trimEnd(), ...lines.map(line => line.trimEnd())];
}

function lineWidth(shown: readonly { readonly width: number }[]): number {
  return shown.reduce((sum, { width }) => sum + width, 0) + GAP.length * (shown.length - 1);
}

/** Breaks text at spaces into lines of at most `width` characters; a longer word stands alone. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
