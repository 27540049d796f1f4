import { UnderstudyError } from '@understudy/core/cluster';
import { asUnderstudyError, errorAnswer } from '../api/errors.ts';
import type { ClusterFacade, TourDoor } from '../api/facade.ts';
import type { TourChapter, TourDocument, TourFinding } from '../api/types.ts';
import { ACTS } from './acts.ts';
import { Blog } from './blog.ts';
import { CHAPTER_IDS, type ChapterId, SCRIPT } from './script.ts';

/** A chapter finds a dozen things; one with a defect may not fill the memory. */
const FINDINGS_LIMIT = 100;

interface Played {
  state: TourChapter['state'];
  findings: TourFinding[];
  failure: TourChapter['failure'];
}

/** The guided tour of one running cluster: a small real workload, and chapters that somebody starts one after the other. */
export class Tour implements TourDoor {
  readonly #facade: ClusterFacade;
  /** Chapters kill processes by their number, which means something on their own machine only. */
  readonly #members: 'here' | 'elsewhere';
  readonly #played = new Map<ChapterId, Played>();
  #state: TourDocument['state'] = 'off';
  #blog: Blog | null = null;
  #playing = false;

  constructor(facade: ClusterFacade, members: 'here' | 'elsewhere') {
    this.#facade = facade;
    this.#members = members;
  }

  document(): TourDocument {
    return { state: this.#state, workload: this.#blog?.workload ?? null, chapters: CHAPTER_IDS.map(id => this.#chapter(id)) };
  }

  async start(): Promise<TourDocument> {
    if (this.#state === 'on') return this.document();
    if (this.#members === 'elsewhere') {
      const why = 'The tour kills servers, so it is played only on a cluster whose members all run on this machine.';
      throw new UnderstudyError('intent-refused', { why });
    }
    if (this.#state !== 'off') throw new UnderstudyError('intent-pending', { kind: 'start or end of the tour' });
    this.#state = 'starting';
    this.#played.clear();
    try {
      this.#blog = await Blog.start(this.#facade.url('router'));
      this.#state = 'on';
    } catch (error) {
      this.#state = 'off';
      throw new UnderstudyError(
        'intent-refused',
        { why: `The blog's tables could not be made: ${(error as Error).message}.` },
        { cause: error },
      );
    }
    return this.document();
  }

  async play(id: string): Promise<TourChapter> {
    const chapter = CHAPTER_IDS.find(each => each === id);
    if (!chapter) throw new UnderstudyError('no-such-chapter', { id, chapters: CHAPTER_IDS.join(', ') });
    if (this.#playing) throw new UnderstudyError('intent-pending', { kind: 'chapter' });
    const played: Played = { state: 'running', findings: [], failure: null };
    this.#playing = true;
    try {
      await this.start();
      this.#played.set(chapter, played);
      const found = (label: string, value: string): void => {
        if (played.findings.length < FINDINGS_LIMIT) played.findings.push({ label, value });
      };
      await ACTS[chapter]({ facade: this.#facade, found });
      played.state = 'done';
    } catch (error) {
      played.state = 'failed';
      const known = asUnderstudyError(error);
      played.failure = errorAnswer(known).error;
      throw known;
    } finally {
      this.#playing = false;
    }
    return this.#chapter(chapter);
  }

  async stop(): Promise<TourDocument> {
    if (this.#state === 'off') return this.document();
    if (this.#playing || this.#state !== 'on') throw new UnderstudyError('intent-pending', { kind: 'chapter' });
    this.#state = 'stopping';
    try {
      await this.#blog?.stop();
    } catch (error) {
      const why = `The tour is over, but its schema could not be dropped: ${(error as Error).message}.`;
      throw new UnderstudyError('intent-refused', { why }, { cause: error });
    } finally {
      this.#blog = null;
      this.#state = 'off';
    }
    return this.document();
  }

  #chapter(id: ChapterId): TourChapter {
    const words = SCRIPT.find(each => each.id === id)!;
    const { state, findings, failure } = this.#played.get(id) ?? { state: 'ready', findings: [], failure: null };
    return { ...words, state, findings: [...findings], failure };
  }
}
