import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referenceFiles } from '../../../../scripts/make-reference.ts';

describe('the reference', () => {
  it.each([...referenceFiles()])('docs/%s is up to date (else: npm run reference)', (name, text) => {
    expect(readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8')).toBe(text);
  });
});
