const SECRETS: readonly (readonly [RegExp, string])[] = [
  // postgres://user:password@host
  [/(:\/\/[^\s:/@]*:)[^\s@/]+@/g, '$1***@'],
  [/\b(Bearer\s+)[\w.~+/-]+=*/gi, '$1***'],
  [/\b(password|passwd|token|secret|api_?key)(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}&]+)/gi, '$1$2***'],
  [/\bSCRAM-SHA-256\$[^\s"']+/g, 'SCRAM-SHA-256$***'],
];

/** The text without passwords, tokens and SCRAM secrets, whoever put them there. */
export function redacted(text: string): string {
  return SECRETS.reduce((clean, [pattern, instead]) => clean.replaceAll(pattern, instead), text);
}
