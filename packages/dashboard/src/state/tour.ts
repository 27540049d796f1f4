import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { TourChapter, TourDocument } from '../../../server/src/api/types.ts';
import { ApiError, askTour, fetchTour } from '../api/client.ts';

/** Null: the tour is closed. */
export const tour: Signal<TourDocument | null> = signal(null);
/** The chapter that is read. */
export const chosen: Signal<string | null> = signal(null);
/** Why the last wish was refused. */
export const tourFailure: Signal<string | null> = signal(null);
/** A wish is under way, whose answer comes when it is done. */
export const tourBusy: Signal<boolean> = signal(false);

export const chapter: ReadonlySignal<TourChapter | null> = computed(() => {
  const chapters = tour.value?.chapters ?? [];
  return chapters.find(each => each.id === chosen.value) ?? chapters[0] ?? null;
});

const POLL_MS = 400;
/** Counts the times the tour was opened: whoever still polls for an earlier time stops. */
const opened: Signal<number> = signal(0);

/** Shows the tour, and keeps it up to date until it is closed. An answer that comes after that does not open it again. */
export async function openTour(): Promise<void> {
  const time = opened.value + 1;
  opened.value = time;
  tour.value = await fetchTour().catch(() => null);
  while (tour.value !== null && opened.value === time) {
    await new Promise(resolve => {
      setTimeout(resolve, POLL_MS);
    });
    const known = await fetchTour().catch(() => null);
    if (known && tour.value !== null && opened.value === time) tour.value = known;
  }
}

export async function playChapter(id: string, token: string): Promise<void> {
  chosen.value = id;
  await wish('POST', `tour/chapters/${id}`, token);
}

/** Ends the work of the blog, if it works, and closes the tour. Stays open once to say why the work could not be ended cleanly. */
export async function closeTour(token: string | null): Promise<void> {
  tourFailure.value = null;
  if (tour.value?.state === 'on' && token !== null) await wish('DELETE', 'tour', token);
  if (tourFailure.value === null) tour.value = null;
}

async function wish(method: 'POST' | 'DELETE', path: string, token: string): Promise<void> {
  tourBusy.value = true;
  tourFailure.value = null;
  try {
    await askTour(method, path, token);
  } catch (error) {
    tourFailure.value = error instanceof ApiError ? `${error.message} ${error.action}` : String(error);
  } finally {
    const known = await fetchTour().catch(() => null);
    if (known && tour.value) tour.value = known;
    tourBusy.value = false;
  }
}
