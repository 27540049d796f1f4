/** Where the parts of the picture lie, in CSS pixels. The cards are HTML, the arrows SVG over the same coordinates. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Arrow {
  /** Path data; the arrow's head is at its end. */
  readonly path: string;
  /** The middle of its label. */
  readonly label: Point;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Side by side where there is room, else one below the other with the arrows in the margins. */
export interface Layout {
  readonly kind: 'columns' | 'stack';
  readonly width: number;
  readonly height: number;
  readonly router: Rect;
  readonly cards: readonly Rect[];
}

const CARD_WIDTH = { min: 168, compact: 216, max: 380 } as const;
const CARD_HEIGHT = 222;
const COLUMN_GAP = 14;
const ROUTER = { maxWidth: 620, height: 100, stackHeight: 152 } as const;
/** Room for the arrows from the router down to the cards, and for the WAL's way below them. */
const FAN_HEIGHT = 92;
const WAL_HEIGHT = 70;
const WAL_DEPTH = 38;
/** So far beside the common way goes what is not as it should be, so that both can be seen. */
const APART_OFFSET = 9;
const STACK = { left: 26, right: 22, fan: 40, gap: 34, maxWidth: 560 } as const;

/** Whether a card is too narrow for words on all of its buttons. */
export function isCompact(card: Rect): boolean {
  return card.width < CARD_WIDTH.compact;
}

export function layoutOf(width: number, count: number): Layout {
  const columns = (width - COLUMN_GAP * (count - 1)) / Math.max(1, count);
  return columns >= CARD_WIDTH.min && width >= 560
    ? columnsLayout(width, count, Math.min(columns, CARD_WIDTH.max))
    : stackLayout(width, count);
}

function columnsLayout(width: number, count: number, cardWidth: number): Layout {
  const used = count * cardWidth + (count - 1) * COLUMN_GAP;
  const routerWidth = Math.min(width, ROUTER.maxWidth);
  const top = ROUTER.height + FAN_HEIGHT;
  const cards = range(count).map(i => ({
    x: (width - used) / 2 + i * (cardWidth + COLUMN_GAP),
    y: top,
    width: cardWidth,
    height: CARD_HEIGHT,
  }));
  const router = { x: (width - routerWidth) / 2, y: 0, width: routerWidth, height: ROUTER.height };
  return { kind: 'columns', width, height: top + CARD_HEIGHT + WAL_HEIGHT, router, cards };
}

function stackLayout(width: number, count: number): Layout {
  const used = Math.min(width, STACK.maxWidth);
  const left = (width - used) / 2;
  const top = ROUTER.stackHeight + STACK.fan;
  const [x, cardWidth] = [left + STACK.left, used - STACK.left - STACK.right];
  const cards = range(count).map(i => ({ x, y: top + i * (CARD_HEIGHT + STACK.gap), width: cardWidth, height: CARD_HEIGHT }));
  const router = { x: left, y: 0, width: used, height: ROUTER.stackHeight };
  return { kind: 'stack', width, height: top + count * (CARD_HEIGHT + STACK.gap) - STACK.gap + 4, router, cards };
}

/** From the router to a member: its writes, or its share of the reads. */
export function statementArrow(layout: Layout, index: number, carries: 'writes' | 'reads'): Arrow {
  const card = layout.cards[index]!;
  const { router } = layout;
  if (layout.kind === 'stack') {
    const x = card.x - (carries === 'writes' ? 10 : 20);
    const y = card.y + (carries === 'writes' ? 26 : 40);
    const bottom = router.y + router.height;
    return { path: `M${x} ${bottom}V${y - 8}q0 8 8 8H${card.x - 2}`, label: { x: card.x + card.width / 2, y: card.y - 15 } };
  }
  const count = layout.cards.length;
  const from = { x: router.x + (router.width * (index + 0.5)) / count, y: router.y + router.height };
  const to = { x: card.x + card.width / 2, y: card.y - 3 };
  const bend = (to.y - from.y) * 0.55;
  const path = `M${round(from.x)} ${from.y}C${round(from.x)} ${round(from.y + bend)} ${round(to.x)} ${round(to.y - bend)} ${round(to.x)} ${to.y}`;
  return { path, label: { x: round(to.x), y: to.y - 34 } };
}

/** From whom a replica follows. The streams of WAL leave the primary on one common way; one from a replica, a copy, or one in trouble, goes apart from it. */
export function walArrow(layout: Layout, source: number, replica: number, way: 'common' | 'apart'): Arrow {
  const from = layout.cards[source]!;
  const to = layout.cards[replica]!;
  const offset = way === 'apart' ? APART_OFFSET : 0;
  return layout.kind === 'stack' ? walInMargin(from, to, offset) : walBelow(from, to, offset);
}

function walBelow(from: Rect, to: Rect, offset: number): Arrow {
  const side = to.x > from.x ? 1 : -1;
  const [start, end, bottom] = [round(from.x + from.width / 2) - offset * side, round(to.x + to.width / 2), from.y + from.height];
  const depth = bottom + WAL_DEPTH + offset;
  const path = `M${start} ${bottom}V${depth - 12}q0 12 ${12 * side} 12H${end - 12 * side}q${12 * side} 0 ${12 * side} -12V${bottom + 3}`;
  return { path, label: { x: end, y: bottom + WAL_DEPTH + 4 } };
}

function walInMargin(from: Rect, to: Rect, offset: number): Arrow {
  const [start, end, right] = [from.y + 60 + offset, to.y + 32, from.x + from.width];
  const [x, side] = [right + 11 + offset, end > start ? 1 : -1];
  return {
    path: `M${right} ${start}H${x - 8}q8 0 8 ${8 * side}V${end - 8 * side}q0 ${8 * side} -8 ${8 * side}H${right + 3}`,
    label: { x: right, y: end },
  };
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
