/**
 * The table of statements: one a line, `demand  reason[:detail]  kinds | SQL`. `kinds` are the kinds of the statements in the text, joined by `+`.
 * `¶` stands for a newline. Lines that begin with `#` say what a group is about; several groups are statements that other routers sent to the wrong server.
 */
export const STATEMENTS: string = String.raw`
# Plain reads
replica read read | select 1
replica read read | SELECT 1
replica read read | select 1;
replica read read | ;select 1
replica read read | select
replica read read | select * from posts
replica read read | select * from posts where id = 1
replica read read | select * from posts where id = $1
replica read read | select * from only posts
replica read read | select distinct on (a) a, b from t order by a, b desc
replica read read | select a, b from t where a in (1, 2, 3) and b like 'x%'
replica read read | select a from t where b between 1 and 2
replica read read | select a from t where b is not null
replica read read | select a from t where b is not distinct from c
replica read read | select a from t where (a, b) > (1, 2) limit 10 offset 20
replica read read | select a from t order by a fetch first 10 rows with ties
replica read read | select a from t group by grouping sets ((a), ())
replica read read | select count(*) filter (where a > 0) from t
replica read read | select row_number() over (partition by a order by b) from t
replica read read | select sum(x) over w from t window w as (order by y rows between 1 preceding and current row)
replica read read | select a from t union all select b from u
replica read read | select a from t intersect select b from u except select c from v
replica read read | (select 1) union (select 2)
replica read read | (((select 1)))
replica read read | select * from a join b using (id) left join c on c.id = b.id
replica read read | select * from a natural full join b
replica read read | select * from a cross join lateral (select * from b where b.id = a.id) x
replica read read | select (select max(id) from t)
replica read read | select exists (select from t where a = 1)
replica read read | select array(select a from t)
replica read read | select (array[1, 2, 3])[1:2]
replica read read | select case when a then 1 else 2 end from t
replica read read | select a::text, cast(b as int) from t
replica read read | select '{"a": 1}'::jsonb -> 'a' ->> 'b'
replica read read | select a @> b, a ?| array['x'], a #>> '{x}' from t
replica read read | select interval '1 day', date '2026-01-01', timestamp with time zone '2026-01-01 00:00+00'
replica read read | select extract(epoch from now()), current_date, current_timestamp, localtime
replica read read | select current_user, session_user, current_schema, current_catalog
replica read read | select coalesce(a, b), nullif(a, b), greatest(a, b) from t
replica read read | select substring(a from 1 for 2), trim(both 'x' from a), overlay(a placing 'b' from 1), position('a' in b) from t
replica read read | select string_agg(a, ',' order by b), array_agg(distinct a), percentile_cont(0.5) within group (order by a) from t
replica read read | select to_tsvector('english', body) @@ plainto_tsquery('x') from posts
replica read read | select ts_headline(body, to_tsquery('a & b')) from posts
replica read read | select regexp_replace(a, 'x', 'y', 'g'), md5(a), encode(sha256(a::bytea), 'hex') from t
replica read read | select json_agg(t), jsonb_build_object('a', 1), row_to_json(t) from t
replica read read | select json_object('a': 1, 'b': 2)
replica read read | select json_arrayagg(a) from t
replica read read | select * from json_table('[1,2]', '$[*]' columns (a int path '$'))
replica read read | select * from xmltable('/a' passing x columns b int path 'c')
replica read read | select * from generate_series(1, 10) with ordinality as g(a, b)
replica read read | select * from rows from (generate_series(1, 2), unnest(array[1, 2]))
replica read read | select * from t tablesample bernoulli (10) repeatable (1)
replica read read | select * from jsonb_to_recordset($1) as x(a int, b text)
replica read read | with x as (select 1) select * from x
replica read read | with x as materialized (select 1), y as not materialized (select * from x) select * from y
replica read read | with recursive t(n) as (values (1) union all select n + 1 from t where n < 100) select sum(n) from t
replica read read | with recursive t as (select 1) search depth first by a set o cycle a set c using p select * from t
replica read read | values (1, 'a'), (2, 'b')
replica read read | table posts
replica read read | table only posts
replica read read | select pg_catalog.count(*) from t
replica read read | select a collate "C" from t
replica read read | select U&'d\0061t\+000061', E'a\'b', N'x', B'101', X'1F'
replica read read | select U&"d\0061t" from t
replica read read | select U&"d!0061t" uescape '!' from t
replica read read | select "Quoted ""Name""" from "Posts"
replica read read | select $$it's$$, $tag$ $$ nested $$ $tag$
replica read read | select 'one'¶  'two'
replica read read | select 0x1F, 0o17, 0b101, 1_000_000, 1.5e-10, .5, 5.
replica read read | select été from café where naïve = 'ï'
replica read read | select '日本語', "列" from "表"
replica read read | select -1, +1, - 1, 1 - -1, 2 * -3
replica read read | select 1 -- comment
replica read read | -- select nextval('s')¶select 1
replica read read | /* insert into t values (1) */ select 1
replica read read | /* a /* nested */ comment */ select 1
replica read read | /*+ IndexScan(t) */ select * from t
replica read read | /*traceparent='00-abc-def-01',route='%2Fposts'*/ select 1
replica read read | select 1 /*action='show',controller='posts'*/
replica read read | select/**/1
replica read read | select a.*, (b).c, (d).* from a, b, d
replica read read | select 1 as "update", 2 as delete_me from "insert"
replica read read | select 'insert into t values (1)'
replica read read | select * from t where note = 'for update'
replica read read | select "nextval" from t
replica read read | select * from information_schemas where a = any ($1)
replica read read | select merge_action_column, deleted, updated_at from t
replica read read | select updates.id, locked from updates where inserted
replica read read | select * from users where name = $1 and deleted_at is null order by id limit $2
replica read read | select "public"."posts"."id" from "public"."posts" where (1=1 and "public"."posts"."id" in ($1,$2)) offset $3
replica read read | SELECT "Post"."id" AS "Post_id" FROM "post" "Post" WHERE (("Post"."id" = $1)) LIMIT 1
replica read read | select t.oid::regclass, 'a'::regtype from t

# Functions that are volatile by name but write nothing and keep nothing
replica read read | select random(), random(1, 6), random_normal()
replica read read | select clock_timestamp(), timeofday()
replica read read | select gen_random_uuid(), uuidv4(), uuidv7()
replica read read | select uuid_generate_v4()
replica read read | select pg_sleep(0.1)
replica read read | select pg_is_in_recovery()
replica read read | select pg_catalog.pg_is_in_recovery()
replica read read | select inet_server_addr(), inet_server_port()
replica read read | select pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()
replica read read | select version()
replica read read | select pg_size_pretty(pg_total_relation_size('t'))
replica read read | select pg_database_size(current_database())
replica read read | select current_setting('app.user', true)
replica read read | select txid_current_snapshot(), pg_current_snapshot()
replica read read | select array_shuffle(array[1, 2])
replica read read | select crypt('a', 'b') from t where known_stable(a)

# The system catalogue is the same everywhere
replica read-catalog read | select * from pg_catalog.pg_class
replica read-catalog read | select oid, typname from pg_type where oid = $1
replica read-catalog read | select table_name from information_schema.tables
replica read-catalog read | select c.relname from pg_catalog.pg_class c left join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r','p') and n.nspname !~ '^pg_toast' and pg_catalog.pg_table_is_visible(c.oid)
replica read-catalog read | select * from pg_stats
replica read-catalog read | select * from pg_indexes where tablename = 't'
replica read-catalog read | select pg_get_viewdef(oid) from pg_class
replica read-catalog read | select * from pg_sequences

# What tells of the running server or of the session
primary relation-of-server:pg_stat_activity read | select * from pg_stat_activity
primary relation-of-server:pg_stat_replication read | select * from pg_catalog.pg_stat_replication
primary relation-of-server:pg_locks read | select count(*) from pg_locks l join pg_class c on c.oid = l.relation
primary relation-of-server:pg_replication_slots read | table pg_replication_slots
primary relation-of-server:pg_stat_user_tables read | select n_dead_tup from pg_stat_user_tables
primary relation-of-server:pg_statio_user_tables read | select * from pg_statio_user_tables
primary relation-of-server:pg_stat_statements read | select query, calls from pg_stat_statements
primary relation-of-session:pg_settings read | select setting from pg_settings where name = 'x'
primary relation-of-session:pg_prepared_statements read | select * from pg_prepared_statements
primary relation-of-session:pg_cursors read | select * from pg_cursors
primary relation-of-session:t read | select * from pg_temp.t
primary relation-of-session:t read | select * from pg_temp_3.t
replica read read | select * from app.pg_locks
primary function-of-server:pg_stat_get_activity read | select pg_stat_get_activity(null)
primary function-of-server:pg_terminate_backend read | select pg_terminate_backend(123)
primary function-of-server:pg_cancel_backend read | select pg_cancel_backend($1)
primary function-of-server:pg_reload_conf read | select pg_reload_conf()
primary function-of-server:pg_ls_waldir read | select * from pg_ls_waldir()
primary function-of-server:pg_read_file read | select pg_read_file('x')
primary function-of-server:pg_stat_reset read | select pg_stat_reset()
primary function-of-server:pg_promote read | select pg_promote()
primary function-of-server:pg_blocking_pids read | select pg_blocking_pids(1)
primary function-of-session:pg_backend_pid read | select pg_backend_pid()
primary function-of-session:pg_my_temp_schema read | select pg_my_temp_schema()
primary function-of-session:pg_listening_channels read | select pg_listening_channels()
primary function-of-primary:pg_current_wal_lsn read | select pg_current_wal_lsn()
primary function-of-primary:pg_walfile_name read | select pg_walfile_name('0/1')
primary function-of-primary:txid_status read | select txid_status(123)
primary show utility | show server_version
primary show:transaction_read_only utility | SHOW transaction_read_only
primary show utility | show transaction isolation level
primary show utility | show all
primary show:search_path utility | show search_path

# Functions that write, or may
primary function-writes:nextval write | select nextval('s')
primary function-writes:nextval write | SELECT NEXTVAL('s')
primary function-writes:nextval write | select "nextval"('s')
primary function-writes:pg_catalog.nextval write | select pg_catalog.nextval('s'::regclass)
primary function-writes:pg_catalog.nextval write | select "pg_catalog"."nextval"('s')
primary function-writes:nextval write | select 1 where (select nextval('s')) > 0
primary function-writes:nextval write | select * from t where id = (select x from (select nextval('s') as x) y)
primary function-writes:nextval write | select * from nextval('s')
primary function-writes:nextval write | select a from t order by nextval('s')
primary function-writes:nextval write | with x as (select nextval('s') n) select n from x
primary function-writes:nextval write | values (nextval('s'))
primary function-writes:nextval write | select case when false then nextval('s') end
primary function-writes:nextval write | select count(*) filter (where nextval('s') > 0) from t
primary function-writes:nextval write | select * from t join lateral (select nextval('s')) x on true
primary function-writes:nextval write | select array[nextval('s')]
primary function-writes:nextval write | select 1 union select nextval('s')
primary function-writes:setval write | select setval('s', 1, false)
primary function-writes:lo_create write | select lo_create(0)
primary function-writes:lo_get write | select lo_get(1)
primary function-writes:txid_current write | select txid_current()
primary function-writes:pg_current_xact_id write | select pg_current_xact_id()
primary function-writes:pg_notify write | select pg_notify('c', 'p')
primary function-writes:pg_switch_wal write | select pg_switch_wal()
primary function-writes:pg_create_restore_point write | select pg_create_restore_point('x')
primary function-writes:pg_logical_emit_message write | select pg_logical_emit_message(true, 'a', 'b')
primary function-writes:pg_create_logical_replication_slot write | select pg_create_logical_replication_slot('s', 'pgoutput')
primary function-writes:pg_logical_slot_get_changes write | select * from pg_logical_slot_get_changes('s', null, null)
primary function-writes:brin_summarize_new_values write | select brin_summarize_new_values('i')
primary function-volatile:query_to_xml read | select query_to_xml('delete from t returning *', true, true, '')
primary function-volatile:ts_stat read | select * from ts_stat('select vector from t')
primary function-volatile:known_volatile read | select known_volatile()
primary function-volatile:app.known_volatile read | select app.known_volatile(1, 2)
primary function-unknown:some_mutating_function read | SELECT some_mutating_function()
primary function-unknown:some_mutating_function read | select * from some_mutating_function(1) as x
primary function-unknown:app.create_user read | select app.create_user('a', 'b')
primary function-unknown:dblink read | select * from dblink('c', 'delete from t') as t(a int)
primary function-unknown:dblink_exec read | select dblink_exec('delete from t')
primary function-unknown:http_get read | select status from http_get('http://x')
primary function-writes:nextval write | select app.nextval('s'), nextval('s')
primary function-unknown:my.nextval read | select my.nextval('s')
primary function-writes:nextval write | select some_mutating_function(), nextval('s')
primary function-denied:denied_function read | select denied_function()
primary function-denied:app.denied_too read | select app.denied_too()
primary function-unknown:other.denied_too read | select other.denied_too()
replica read read | select allowed_function(), app.allowed_too()
replica read read | select known_stable(1), app.known_immutable(2)
primary function-volatile:lower read | select lower(shadowed) from t
replica read read | select pg_catalog.lower(shadowed) from t

# Session state through functions
primary function-of-session:set_config read | select set_config('app.user', '1', false)
primary function-of-session:set_config read | select set_config('search_path', '', true)
primary function-of-session:pg_catalog.set_config read | SELECT pg_catalog.set_config('search_path', '', false)
primary function-of-session:set_config read | select set_config('jit', 'off', false) as "jit"
primary function-of-session:set_config read | select "set_config"('a', 'b', true)
primary function-of-session:set_config read | select U&"set\005fconfig"('a', 'b', true)
primary function-of-session:pg_advisory_lock read | select pg_advisory_lock(1)
primary function-of-session:pg_try_advisory_lock read | select pg_try_advisory_lock(1, 2)
primary function-of-session:pg_advisory_xact_lock read | select pg_advisory_xact_lock(hashtext('x'))
primary function-of-session:pg_advisory_unlock read | select pg_advisory_unlock(1)
primary function-of-session:pg_advisory_unlock_all read | select pg_advisory_unlock_all()
primary function-of-session:currval read | select currval('s')
primary function-of-session:lastval read | select lastval()
primary function-of-session:setseed read | select setseed(0.5)
primary function-of-session:pg_export_snapshot read | select pg_export_snapshot()

# Writes
primary insert write | insert into t values (1)
primary insert write | insert into t (a, b) values ($1, $2) returning id
primary insert write | insert into t default values
primary insert write | insert into t select * from u
primary insert write | insert into t values (1) on conflict (a) do update set b = excluded.b where t.c
primary insert write | with x as (select 1) insert into t select * from x
primary insert write | insert into t values (1, 'a', null), (2, 'b', default), (-3, 'c', true)
primary update write | update t set a = 1 where b = 2
primary update write | update only t set (a, b) = (select 1, 2) from u returning *
primary update write | update t set a = a + 1 where current of c
primary delete write | delete from t
primary delete write | delete from t using u where u.id = t.id returning t.*
primary delete write | with x as (select 1) delete from t
primary merge write | merge into t using u on t.id = u.id when matched then update set a = 1 when not matched then insert values (1)
primary merge write | merge into t using u on t.id = u.id when not matched by source then delete returning merge_action(), t.*
primary writing-cte write | with x as (insert into t values (1) returning *) select * from x
primary writing-cte write | with x as (update t set a = 1 returning *) select * from x
primary writing-cte write | with x as (delete from t returning *) select * from x
primary writing-cte write | with a as (select 1), b as (delete from t) select * from a
primary writing-cte write | with a as (with b as (insert into t values (1) returning 1) select * from b) select * from a
primary writing-cte write | with a as (merge into t using u on t.id = u.id when matched then delete returning t.id) select * from a
primary writing-cte write | WITH "x" AS (INSERT INTO "t" ("a") VALUES ($1) RETURNING "id") SELECT "id" FROM "x"
primary writing-cte write | (with x as (delete from t returning 1) select * from x) union all select 2
primary select-into write | select 1 into t
primary select-into write | select * into unlogged t from u
primary select-into write | select 1into t
primary select-into write | select 1 into temp t
primary row-lock write | select * from t for update
primary row-lock write | select * from t for no key update
primary row-lock write | select * from t for share
primary row-lock write | select * from t for key share
primary row-lock write | select * from t for update of t skip locked
primary row-lock write | select * from t where id = 1 for update nowait
primary row-lock write | select * from (select * from t for update) x
primary row-lock write | with x as (select * from t for share) select * from x
primary row-lock write | select 1 where exists (select 1 from t for update)
primary row-lock write | select * from t /* c */ for /* d */ update
primary row-lock write | select * from a join b using (id) order by 1 limit 5 for update of a
primary row-lock write | SELECT "id" FROM "jobs" WHERE "state" = $1 ORDER BY "id" LIMIT 1 FOR UPDATE SKIP LOCKED
primary call write | call p()
primary call write | call app.p(1, 'a')
primary do-block write | do $$ begin delete from t; end $$
primary do-block write | do language plpgsql 'begin null; end'
primary notify:c write | notify c
primary notify:c write | notify c, 'payload'
primary lock-table utility | lock table t
primary lock-table utility | lock t in access share mode nowait

# COPY
replica copy-out copy | copy t to stdout
replica copy-out copy | copy t (a, b) to stdout with (format csv, header)
replica copy-out copy | copy (select * from t where id > 5) to stdout (format binary)
primary copy-in copy | copy t from stdin
primary copy-in copy | COPY "t" ("a") FROM STDIN CSV HEADER
primary copy-in copy | copy t from '/tmp/x'
primary copy-in copy | copy t from program 'cat /tmp/x'
primary copy-server-file copy | copy t to '/tmp/x'
primary copy-server-file copy | copy t to program 'cat > /tmp/x'
primary function-writes:nextval copy | copy (select nextval('s')) to stdout
primary insert copy | copy (insert into t values (1) returning *) to stdout
primary row-lock copy | copy (select * from t for update) to stdout
primary relation-of-server:pg_stat_activity copy | copy pg_stat_activity to stdout

# EXPLAIN
replica explain-read read | explain select 1
replica explain-read read | explain analyze select 1
replica explain-read read | explain (analyze, buffers, format json) select * from t where id = 5
replica explain-read read | explain verbose select * from t
replica explain-read read | explain (generic_plan) select * from t where id = $1
primary explain-write utility | explain insert into t values (1)
primary explain-write write | explain analyze insert into t values (1)
primary explain-write utility | explain (analyze off) delete from t
primary explain-write write | EXPLAIN (ANALYZE true) UPDATE t SET a = 1
primary explain-write write | explain (analyze 1) update t set a = 1
primary explain-write write | explain analyze with x as (delete from t returning 1) select * from x
primary explain-write write | explain analyze select nextval('s')
primary explain-write write | explain analyze select * from t for update
primary explain-write write | explain analyze execute p(1)
primary explain-write write | explain analyze create table x as select 1
primary explain-write utility | explain declare c cursor for select 1
primary explain-write write | explain analyze select some_mutating_function()

# Definitions and maintenance
primary ddl write | create table t (a int primary key, b text default 'x' check (b <> ''))
primary ddl write | create table t as select 1
primary ddl write | create table if not exists t (like u including all)
primary ddl write | create unlogged table t (a int)
primary ddl write | create index concurrently i on t (lower(a)) where b > 5
primary ddl write | create view v as select * from t
primary ddl write | create or replace view v as select nextval('s')
primary ddl write | create materialized view v as select 1
primary ddl write | create sequence s
primary ddl write | create function f() returns int language sql as 'select 1'
primary ddl write | create function f() returns int language sql begin atomic select 1; select 2; end
primary ddl write | create procedure p() language plpgsql as $$ begin null; end $$
primary ddl write | create trigger g after insert on t for each row execute function f()
primary ddl write | create rule r as on insert to t do also (select 1; delete from u)
primary ddl write | create schema s create table t (a int)
primary ddl write | create extension pgcrypto
primary ddl write | create type e as enum ('a', 'b')
primary ddl write | create domain d as int check (value > 0)
primary ddl write | create role r login password 'x'
primary whole-database:d write | create database d
primary whole-database:d write | drop database if exists d
primary whole-database:d write | alter database d rename to e
primary ddl write | alter table t rename to s
primary ddl write | create policy p on t using (a = current_user)
primary ddl write | create publication p for all tables
primary ddl write | create subscription s connection 'x' publication p
primary ddl write | create statistics s on a, b from t
primary ddl write | create foreign table t (a int) server s
primary ddl write | create event trigger e on ddl_command_start execute function f()
primary ddl write | alter table t add column c int default 5
primary ddl write | alter table t enable row level security
primary ddl write | alter role r set search_path = a
primary ddl write | alter database d set work_mem = '1MB'
primary ddl write | alter type e add value 'c'
primary ddl write | alter sequence s restart
primary ddl write | alter default privileges grant select on tables to r
primary ddl write | drop table t cascade
primary ddl write | drop function f(int)
primary ddl write | drop owned by r
primary ddl write | truncate t, u restart identity
primary ddl write | grant select on t to r
primary ddl write | revoke all on t from public
primary ddl write | comment on table t is 'x'
primary ddl write | security label on table t is 'x'
primary ddl write | import foreign schema s from server x into y
primary ddl write | reassign owned by a to b
primary maintenance utility | vacuum
primary maintenance utility | vacuum (full, analyze) t
primary maintenance utility | analyze t (a)
primary maintenance utility | cluster t using i
primary maintenance utility | reindex table concurrently t
primary maintenance utility | refresh materialized view concurrently v
primary maintenance utility | checkpoint
primary maintenance utility | alter system set work_mem = '1MB'
primary session-state:constraints utility | set constraints all deferred

# Transaction control
session transaction-control transaction | begin
session transaction-control transaction | BEGIN;
session transaction-control transaction | begin transaction isolation level serializable read only deferrable
session transaction-control transaction | start transaction read only
session transaction-control transaction | begin read write, isolation level repeatable read
session transaction-control transaction | commit
session transaction-control transaction | end
session transaction-control transaction | commit and chain
session transaction-control transaction | rollback
session transaction-control transaction | abort work
session transaction-control transaction | rollback and no chain
session transaction-control transaction | savepoint a
session transaction-control transaction | release savepoint a
session transaction-control transaction | rollback to savepoint a
primary two-phase-commit transaction | prepare transaction 'x'
primary two-phase-commit transaction | commit prepared 'x'
primary two-phase-commit transaction | rollback prepared 'x'
session transaction-control transaction | /* c */ begin
session transaction-control transaction | -- c¶begin

# Session state
session session-state:search_path session | set search_path to a, "B"
session session-state:search_path session | /* c */ SET search_path TO a
session session-state:timezone session | set time zone 'UTC'
session session-state:timezone session | set time zone interval '+02:00' hour to minute
session session-state:client_encoding session | set names 'UTF8'
session session-state:role session | set role r
session session-state:role session | set local role r
session session-state:role session | reset role
session session-state:session_authorization session | set session authorization r
session session-state:statement_timeout session | set statement_timeout = 5000
session session-state:work_mem session | set local work_mem = '1MB'
session session-state:app.user session | set "app.user" = '1'
session session-state:default_transaction_read_only session | set default_transaction_read_only = on
session session-state:transaction_read_only session | set transaction_read_only = off
session session-state:transaction session | set transaction read only
session session-state:transaction session | set transaction isolation level serializable, deferrable
session session-state session | set transaction snapshot '00000003-0000001B-1'
session session-state session | set session characteristics as transaction read only
session session-state:search_path session | reset search_path
session session-state session | reset all
session session-state session | discard all
session session-state session | discard temp
session session-state session | load 'auto_explain'
primary listen session | listen c
primary listen session | unlisten c
primary listen session | unlisten *
primary prepared-in-session session | prepare p as select 1
primary prepared-in-session session | prepare p (int) as insert into t values ($1)
primary prepared-in-session session | execute p
primary prepared-in-session session | execute p(1, 'a')
primary prepared-in-session session | deallocate p
primary prepared-in-session session | deallocate prepare all
primary temporary-object session | create temp table t (a int)
primary temporary-object session | create temporary table t (a int) on commit drop
primary temporary-object session | create local temp sequence s
primary temporary-object session | create temp view v as select 1
primary temporary-object session | create table pg_temp.t (a int)
primary ddl write | create temp table t as select 1
session cursor session | declare c cursor for select 1
session cursor session | declare c scroll cursor with hold for select * from t
session cursor session | fetch 5 from c
session cursor session | fetch all c
session cursor session | move 10 in c
session cursor session | close c
session cursor session | close all

# Several statements are one unit
replica read read+read | select 1; select 2
replica read read+read | select 1;; select 2;
primary insert read+write | select 1; insert into t values (1)
primary insert write+read | insert into t values (1); select 1
primary function-writes:nextval read+write | select 1; select nextval('s')
primary several-statements transaction+read+transaction | begin; select 1; commit
primary several-statements transaction+read+transaction | begin read only; select 1; commit
primary update transaction+write+transaction | begin; update t set a = 1; commit
primary several-statements session+read | set search_path to a; select * from t
session session-state:a.b session+session | set a.b = 1; set c.d = 2
primary several-statements read+transaction+transaction | select 1; commit; begin
primary ddl write+write | drop table if exists t; create table t (a int)
primary several-statements router+read | set understudy.route = 'replica'; select 1
primary row-lock read+write | select ';'; select * from t for update
replica read read | select ';insert into t values (1)'
replica read read | select $$; delete from t; $$
replica read read | select 1 /* ; delete from t */
replica read read+read | select 1; -- delete from t¶select 2

# Nothing at all
session empty  | 
session empty  | ;
session empty  | ;;;
session empty  | -- nothing
session empty  | /* nothing */
session empty  | ¶ ;

# Asked of the router itself
router router-command:understudy.token router | show understudy.token
router router-command:understudy.token router | SHOW understudy.TOKEN
router router-command:understudy.last_route router | show understudy.last_route
router router-command:understudy.pools router | show understudy.pools
router router-command:understudy.clients router | show understudy.clients
router router-command:understudy.servers router | show understudy.servers
router router-command:understudy.stats router | show understudy.stats
router router-command:understudy.nonsense router | show understudy.nonsense
router router-command:understudy.route router | set understudy.route = 'primary'
router router-command:understudy.route router | set understudy.route to replica
router router-command:understudy.route router | set local understudy.route = auto
router router-command:understudy.route router | reset understudy.route
router router-command:understudy.consistency router | set understudy.consistency = 'eventual'
router router-command:understudy.max_lag_ms router | set understudy.max_lag_ms = 500
router router-command:understudy.token router | set understudy.token = 'u1:1:1:0/0'
router router-command:understudy.nonsense router | set understudy.nonsense = 1

# Hints
primary hint-primary read | /* understudy:primary */ select 1
primary hint-primary read | -- understudy:primary¶select 1
primary hint-primary read | /*understudy:primary*/select 1
primary hint-primary read | /* UNDERSTUDY:PRIMARY */ select 1
primary hint-primary read | /* first */ /* understudy:primary */ select 1
replica hint-replica read | /* understudy:replica */ select some_mutating_function()
replica hint-replica read | /* understudy:replica */ select known_volatile()
replica hint-replica read | /* understudy:replica */ select * from pg_stat_activity
replica hint-replica utility | /* understudy:replica */ show transaction_read_only
primary insert write | /* understudy:replica */ insert into t values (1)
primary row-lock write | /* understudy:replica */ select * from t for update
primary function-writes:nextval write | /* understudy:replica */ select nextval('s')
primary function-denied:denied_function read | /* understudy:replica */ select denied_function()
replica read read | /* understudy:consistency=eventual */ select 1
replica read read | select 1 /* understudy:primary */
replica read read | select 1; /* understudy:primary */ 
replica read read | /* route='understudy:primary' */ select 1
replica read read | select '/* understudy:primary */'
primary insert write | /* understudy:primary */ insert into t values (1)

# Not understood
primary unparsable unknown | selec 1
primary unparsable unknown | select 'unterminated
primary unparsable unknown | select "unterminated
primary unparsable unknown | select $$unterminated
primary unparsable unknown | select 1 /* unterminated
primary unparsable unknown | select E'unterminated\'
primary unparsable unknown | select (1
primary unparsable unknown | select 1 limit
primary unparsable unknown | wait for lsn '0/1'
primary unparsable unknown | )
primary unparsable unknown | select 'a' 'b'
primary unparsable unknown | select 1; selec 2
primary unparsable unknown | begin read sometimes
`;
