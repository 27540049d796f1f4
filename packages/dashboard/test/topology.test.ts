import { describe, expect, it } from 'vitest';
import { isCompact, type Layout, layoutOf, type Rect, statementArrow, walArrow } from '../src/model/topology.ts';

const WIDTHS = [296, 328, 560, 700, 930, 1050, 1500] as const;
const COUNTS = [1, 2, 3, 5, 8] as const;
const CASES = WIDTHS.flatMap(width => COUNTS.map(count => [width, count] as const));

function rects(layout: Layout): readonly Rect[] {
  return [layout.router, ...layout.cards];
}

function overlap(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Where a path of absolute moves begins, and the last coordinate of a straight or curved end. */
function startOf(path: string): readonly number[] {
  return /^M([-\d.]+) ([-\d.]+)/.exec(path)!.slice(1).map(Number);
}

describe('layoutOf', () => {
  it.each(CASES)('keeps all within %d pixels, and apart from each other, for %d members', (width, count) => {
    const layout = layoutOf(width, count);
    expect(layout.cards).toHaveLength(count);
    for (const [i, rect] of rects(layout).entries()) {
      expect(rect.x).toBeGreaterThanOrEqual(0);
      expect(rect.x + rect.width).toBeLessThanOrEqual(width + 0.01);
      expect(rect.y + rect.height).toBeLessThanOrEqual(layout.height);
      expect(
        rects(layout)
          .slice(i + 1)
          .some(other => overlap(rect, other)),
      ).toBe(false);
    }
  });

  it('puts members side by side where they fit, else one below the other', () => {
    expect(layoutOf(1050, 3).kind).toBe('columns');
    expect(layoutOf(1050, 5).kind).toBe('columns');
    expect(layoutOf(1050, 8).kind).toBe('stack');
    expect(layoutOf(328, 1).kind).toBe('stack');
  });

  it('knows when cards have become narrow', () => {
    expect(layoutOf(1050, 3).cards.some(isCompact)).toBe(false);
    expect(layoutOf(1050, 5).cards.every(isCompact)).toBe(true);
  });
});

describe('arrows', () => {
  it.each(CASES)('begin at the router, or at the primary, and are numbers throughout (%d pixels, %d members)', (width, count) => {
    const layout = layoutOf(width, count);
    const bottom = layout.router.y + layout.router.height;
    for (let i = 0; i < count; i += 1) {
      const arrow = statementArrow(layout, i, i === 0 ? 'writes' : 'reads');
      expect(startOf(arrow.path)[1]).toBe(bottom);
      expect(arrow.path).not.toMatch(/NaN|Infinity|undefined/);
      if (i === 0) continue;
      const wal = walArrow(layout, 0, i, 'common');
      expect(startOf(wal.path)[0]).toBeGreaterThanOrEqual(layout.cards[0]!.x);
      expect(startOf(wal.path)[0]).toBeLessThanOrEqual(layout.cards[0]!.x + layout.cards[0]!.width);
      expect(wal.path).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it('go apart from the common way where they are to be told from it', () => {
    const layout = layoutOf(1050, 3);
    expect(walArrow(layout, 0, 1, 'apart').path).not.toBe(walArrow(layout, 0, 1, 'common').path);
  });
});
