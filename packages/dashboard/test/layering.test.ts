import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SOURCES = fileURLToPath(new URL('../src', import.meta.url));
const IMPORT = /^import (type )?[^;]*?from '([^']+)';/gm;

const imports = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter(name => /\.tsx?$/.test(name))
  .flatMap(name =>
    [...readFileSync(join(SOURCES, name), 'utf8').matchAll(IMPORT)].map(([, type, from]) => ({
      name,
      isType: type !== undefined,
      from: from!,
    })),
  );

describe('the page', () => {
  it('takes nothing from the other packages but the types of the API and of the cluster', () => {
    const foreign = imports.filter(({ from }) => from.includes('server/') || from.startsWith('@understudy/') || from.startsWith('node:'));
    expect(foreign.length).toBeGreaterThan(10);
    const wrong = foreign.filter(
      ({ from, isType }) => !isType || !(from.endsWith('/server/src/api/types.ts') || from === '@understudy/core/cluster'),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps its model free of views, signals and requests', () => {
    const model = imports.filter(({ name }) => name.startsWith('model/'));
    expect(model.length).toBeGreaterThan(5);
    const wrong = model.filter(({ from, isType }) => !isType && !from.startsWith('./'));
    expect(wrong).toEqual([]);
  });
});
