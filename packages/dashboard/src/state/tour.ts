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

export async function openTour(): Promise<void> {
  for (;;) {
    const known = await fetchTour().catch(() => null);
    if (known) tour.value = known;
    await new Promise(resolve => {
      setTimeout(resolve, POLL_MS);
    });
    if (tour.value === null) return;
  }
}

export async function playChapter(id: string, token: string): Promise<void> {
  chosen.value = id;
  await wish('POST', `tour/chapters/${id}`, token);
}

/** Ends the work of the blog, if it works, and closes the tour. */
export async function closeTour(token: string | null): Promise<void> {
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
