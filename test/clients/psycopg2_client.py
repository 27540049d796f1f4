"""psycopg2 through the router: client-side parameters, server-side cursors, COPY, large objects, LISTEN, errors, two-phase-free transactions."""
import io
import select
import sys

import psycopg2
import psycopg2.errors
import psycopg2.extensions

url = sys.argv[1]
c = psycopg2.connect(url)
with c, c.cursor() as cur:
    cur.execute("CREATE TABLE books_psycopg2 (id serial PRIMARY KEY, title text UNIQUE NOT NULL)")
    cur.execute("INSERT INTO books_psycopg2 (title) SELECT 'book ' || i FROM generate_series(1, 100) i")
with c, c.cursor("named") as cur:
    cur.itersize = 7
    cur.execute("SELECT title FROM books_psycopg2 ORDER BY id")
    assert [row[0] for row in cur] == [f"book {i}" for i in range(1, 101)]
with c, c.cursor() as cur:
    cur.copy_expert("COPY books_psycopg2 (title) FROM STDIN", io.StringIO("one\ntwo\n"))
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT title FROM books_psycopg2 ORDER BY id DESC LIMIT 2) TO STDOUT", out)
    assert out.getvalue() == "two\none\n", out.getvalue()
try:
    with c, c.cursor() as cur:
        cur.execute("INSERT INTO books_psycopg2 (title) VALUES (%s)", ("fresh",))
        cur.execute("INSERT INTO books_psycopg2 (title) VALUES (%s)", ("book 1",))
    raise AssertionError("a duplicate went in")
except psycopg2.errors.UniqueViolation:
    pass
with c:
    large = c.lobject(0, "wb")
    large.write(b"x" * 3_000_000)
    oid = large.oid
    large.close()
with c:
    large = c.lobject(oid, "rb")
    assert large.read() == b"x" * 3_000_000
    large.unlink()
c.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
with c, c.cursor() as cur:
    cur.execute("SHOW transaction_isolation")
    assert cur.fetchone()[0] == "serializable"
c.set_session(isolation_level="DEFAULT", readonly=False, deferrable=False)
c.autocommit = True
with c.cursor() as cur:
    cur.execute("SELECT count(*) FROM books_psycopg2")
    assert cur.fetchone()[0] == 102
    cur.execute("LISTEN news")
other = psycopg2.connect(url)
other.autocommit = True
with other.cursor() as cur:
    cur.execute("NOTIFY news, 'hello'")
deadline = 100
while not c.notifies and deadline:
    select.select([c], [], [], 0.2)
    c.poll()
    deadline -= 1
assert c.notifies[0].payload == "hello"
c.cancel()
c.close()
other.close()
print("ok")
