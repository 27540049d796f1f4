const BEGIN = '# >>> Understudy';
const END = '# <<< Understudy';

/** Lines of Understudy's in a file of somebody else's, between two marks: at its front or at its end, in place of those that are there. Pure. */
export function withBlock(text: string, where: 'front' | 'end', about: string, lines: readonly string[]): string {
  const rest = withoutBlock(text);
  const block = `${BEGIN}: ${about}\n${lines.map(line => `${line}\n`).join('')}${END}\n`;
  if (where === 'front') return `${block}${rest}`;
  return `${rest}${rest === '' || rest.endsWith('\n') ? '' : '\n'}${block}`;
}

/** The text without Understudy's lines. Pure. */
export function withoutBlock(text: string): string {
  const kept: string[] = [];
  let isOurs = false;
  for (const line of text.split('\n')) {
    if (line.startsWith(BEGIN)) isOurs = true;
    else if (line.startsWith(END)) isOurs = false;
    else if (!isOurs) kept.push(line);
  }
  return kept.join('\n');
}
