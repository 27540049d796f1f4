import { html, raw } from 'hono/html';
import type { Comment, Post, PostLine } from './blog.ts';

type Html = ReturnType<typeof html>;

const STYLE = `
  body { font: 17px/1.6 Georgia, serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fdfcf9 }
  a { color: #1d4ed8 } header, footer { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap }
  small, footer { color: #666 } input, textarea { font: inherit; width: 100%; box-sizing: border-box } form { display: grid; gap: .5rem; margin: 1rem 0 }
  button { font: inherit; justify-self: start } pre { white-space: pre-wrap; font: 14px/1.5 monospace }`;

function page(title: string, content: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style>
          ${raw(STYLE)}
        </style>
        <link rel="alternate" type="application/atom+xml" href="/feed" />
      </head>
      <body>
        <header>
          <h1><a href="/">Letters</a></h1>
          <a href="/write">write</a> <a href="/feed">feed</a> <a href="/lab">lab</a>
          <form action="/search" style="margin:0"><input name="q" placeholder="search" aria-label="search" /></form>
        </header>
        <main>${content}</main>
      </body>
    </html>`;
}

const line = ({ id, author, title }: PostLine): Html =>
  html`<li><a href="/posts/${id}">${title}</a> <small>by <a href="/authors/${author}">${author}</a></small></li>`;

export const listPage = (title: string, posts: readonly PostLine[]): Html =>
  page(title, html`<h2>${title}</h2><ul>${posts.map(line)}</ul>`);

export const postPage = (post: Post, comments: readonly Comment[]): Html =>
  page(
    post.title,
    html`<h2>${post.title}</h2>
      <small>by <a href="/authors/${post.author}">${post.author}</a></small>
      <p>${post.body}</p>
      <h3>${comments.length} comments</h3>
      ${comments.map(({ id, author, body }) => html`<p id="c${id}"><b>${author}</b> ${body}</p>`)}
      <form method="post" action="/posts/${post.id}/comments">
        <input name="author" placeholder="name" required /><textarea name="body" required></textarea><button>comment</button>
      </form>`,
  );

export const writePage = (): Html =>
  page(
    'Write',
    html`<form method="post" action="/posts">
      <input name="author" placeholder="name" required /><input name="title" placeholder="title" required />
      <textarea name="body" rows="12" required></textarea><button>publish</button>
    </form>`,
  );

export const missingPage = (): Html => page('Not found', html`<p>There is nothing here.</p>`);

/** The traffic generator, as seen and driven from a browser. */
export const labPage = (): Html =>
  page(
    'Lab',
    html`<h2>Traffic</h2>
      <pre id="line">…</pre>
      <p>
        <button data-do="viral">go viral (double the traffic)</button> <button data-do="calm">calm down</button>
        <button data-do="replica">add a replica</button> <button data-do="kill">kill the primary</button>
      </p>
      <script type="module">
        for (const button of document.querySelectorAll('[data-do]'))
          button.onclick = () => fetch('/lab/' + button.dataset.do, { method: 'POST' });
        setInterval(async () => {
          document.getElementById('line').textContent = await (await fetch('/lab/line')).text();
        }, 1000);
      </script>`,
  );

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
const escaped = (text: string): string => text.replace(/[&<>]/g, letter => ENTITIES[letter] ?? letter);

export function feed(posts: readonly PostLine[]): string {
  const entries = posts.map(
    ({ id, author, title, published_at }) =>
      `<entry><id>urn:letters:${id}</id><title>${escaped(title)}</title><author><name>${escaped(author)}</name></author>` +
      `<link href="/posts/${id}"/><updated>${published_at.toISOString()}</updated></entry>`,
  );
  const updated = (posts[0]?.published_at ?? new Date(0)).toISOString();
  return `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><id>urn:letters</id><title>Letters</title><updated>${updated}</updated>${entries.join('')}</feed>`;
}
