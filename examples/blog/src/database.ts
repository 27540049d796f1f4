import type { Pool } from '@understudy/client';
import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';

export interface Tables {
  posts: { id: Generated<number>; author: string; title: string; body: string; published_at: Generated<Date> };
  comments: { id: Generated<number>; post_id: number; author: string; body: string; written_at: Generated<Date> };
}

export type Database = Kysely<Tables>;

/** Kysely as it always is: which server answers is the pool's business. */
export function openDatabase(pool: Pool): Database {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/** Tables, and something to read in them. Does nothing when they are there. */
export async function prepareDatabase(db: Database): Promise<void> {
  await sql`
    create table if not exists posts (
      id int generated always as identity primary key,
      author text not null, title text not null, body text not null,
      published_at timestamptz not null default now(),
      words tsvector generated always as (to_tsvector('english', title || ' ' || body)) stored)`.execute(db);
  await sql`create index if not exists posts_words on posts using gin (words)`.execute(db);
  await sql`create index if not exists posts_author on posts (author, id desc)`.execute(db);
  await sql`
    create table if not exists comments (
      id int generated always as identity primary key,
      post_id int not null references posts, author text not null, body text not null,
      written_at timestamptz not null default now())`.execute(db);
  await sql`create index if not exists comments_post on comments (post_id, id)`.execute(db);
  await sql`
    insert into posts (author, title, body)
    select 'author' || g % 20, 'Letter ' || g, repeat('On replicas, primaries and the patience of readers. ', 8) || 'topic' || g % 50
    from generate_series(1, 500) g where not exists (select from posts)`.execute(db);
  await sql`analyze posts`.execute(db);
}
