import type { Point, Rect } from '../model/topology.ts';

/** The style of an element that lies at a place of the picture. */
export function placed(place: Point | Rect): Record<string, string> {
  const style: Record<string, string> = { left: `${place.x}px`, top: `${place.y}px` };
  if ('width' in place) {
    style['width'] = `${place.width}px`;
    style['height'] = `${place.height}px`;
  }
  return style;
}
