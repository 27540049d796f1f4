import { sql } from 'kysely';
import type { Database } from './database.ts';

export interface PostLine {
  readonly id: number;
  readonly author: string;
  readonly title: string;
  readonly published_at: Date;
}

export interface Post extends PostLine {
  readonly body: string;
}

export interface Comment {
  readonly id: number;
  readonly author: string;
  readonly body: string;
}

const PAGE = 10;

/** What the blog does. No word of servers in it: reads find a replica, writes the primary, by what they are. */
export class Blog {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  newest(): Promise<PostLine[]> {
    return this.#lines().orderBy('id', 'desc').limit(PAGE).execute();
  }

  by(author: string): Promise<PostLine[]> {
    return this.#lines().where('author', '=', author).orderBy('id', 'desc').limit(PAGE).execute();
  }

  search(words: string): Promise<PostLine[]> {
    const matches = sql<boolean>`words @@ websearch_to_tsquery('english', ${words})`;
    return this.#lines().where(matches).orderBy('id', 'desc').limit(PAGE).execute();
  }

  async post(id: number): Promise<Post | null> {
    const found = await this.#lines().select('body').where('id', '=', id).executeTakeFirst();
    return found ?? null;
  }

  comments(postId: number): Promise<Comment[]> {
    return this.#db.selectFrom('comments').select(['id', 'author', 'body']).where('post_id', '=', postId).orderBy('id').limit(50).execute();
  }

  async publish(author: string, title: string, body: string): Promise<number> {
    const { id } = await this.#db.insertInto('posts').values({ author, title, body }).returning('id').executeTakeFirstOrThrow();
    return id;
  }

  async comment(postId: number, author: string, body: string): Promise<number> {
    const { id } = await this.#db
      .insertInto('comments')
      .values({ post_id: postId, author, body })
      .returning('id')
      .executeTakeFirstOrThrow();
    return id;
  }

  #lines() {
    return this.#db.selectFrom('posts').select(['id', 'author', 'title', 'published_at']);
  }
}
