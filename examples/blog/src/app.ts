import { honoSessions, type Pool } from '@understudy/client';
import { type Context, Hono } from 'hono';
import type { Blog } from './blog.ts';
import { feed, listPage, missingPage, postPage, writePage } from './pages.ts';

/** The blog as an HTTP application. Each request is a session: with the cookie, what its reader has written and seen comes along. */
export function makeApp(blog: Blog, pool: Pool): Hono {
  const app = new Hono();
  app.use(honoSessions(pool) as never);
  // In a failover a write may have an unknown outcome: its author is told, and looks.
  app.onError((error, c) => c.text(`That did not work: ${error.message}. Please look, and try again.`, 503));
  app.get('/', async c => c.html(listPage('Newest letters', await blog.newest())));
  app.get('/feed', async c => c.body(feed(await blog.newest()), 200, { 'content-type': 'application/atom+xml' }));
  app.get('/search', async c => {
    const words = c.req.query('q') ?? '';
    return c.html(listPage(`Search: ${words}`, await blog.search(words)));
  });
  app.get('/authors/:author', async c => c.html(listPage(`Letters by ${c.req.param('author')}`, await blog.by(c.req.param('author')))));
  app.get('/write', c => c.html(writePage()));
  app.get('/posts/:id{[0-9]{1,9}}', async c => {
    const id = Number(c.req.param('id'));
    const [post, comments] = await Promise.all([blog.post(id), blog.comments(id)]);
    return post === null ? c.html(missingPage(), 404) : c.html(postPage(post, comments));
  });
  app.post('/posts', async c => {
    const { author, title, body } = await fields(c, 'author', 'title', 'body');
    return c.redirect(`/posts/${await blog.publish(author, title, body)}`, 303);
  });
  app.post('/posts/:id{[0-9]{1,9}}/comments', async c => {
    const { author, body } = await fields(c, 'author', 'body');
    const id = Number(c.req.param('id'));
    return c.redirect(`/posts/${id}#c${await blog.comment(id, author, body)}`, 303);
  });
  return app;
}

const MAX_LENGTH = 20_000;

async function fields<K extends string>(c: Context, ...names: K[]): Promise<Record<K, string>> {
  const form = await c.req.parseBody();
  return Object.fromEntries(names.map(name => [name, String(form[name] ?? '').slice(0, MAX_LENGTH)])) as Record<K, string>;
}
