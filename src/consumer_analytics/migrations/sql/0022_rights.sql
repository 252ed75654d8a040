-- Nobody gets further than his rights: locks that only whoever writes the figures can take,
-- functions that nobody may call who does not need to, and triggers that run no code of others.

-- What is locked is a table: an advisory lock any login of the database could take and keep. To
-- lock one of these, other than to read it, takes UPDATE on it. None of them is ever read or written.
create table consumer_analytics_internal.job_lock ();
create table consumer_analytics_internal.capture_lock ();
comment on table consumer_analytics_internal.job_lock is
    'Empty. Whoever writes figures locks it: alone a run, together with others a backfill.';
comment on table consumer_analytics_internal.capture_lock is
    'Empty. Whoever publishes what capture noted locks it.';

-- How many looks at health were noted. One that judged before another was noted judges again.
create table consumer_analytics_internal.looks_lock (noted bigint not null);
insert into consumer_analytics_internal.looks_lock values (0);

-- A backfill is at work as long as its session holds this lock, which nobody can take in advance:
-- its key is drawn by lot, and it counts in the hands of this process alone.
alter table consumer_analytics_internal.backfills
    add session_pid int,
    add session_tag int;

-- Who reads and writes the engine's state may lock these, and call what its statements call.
revoke execute on all functions in schema consumer_analytics_internal from public;
revoke execute on function public.consumer_analytics_reported_at(timestamptz) from public;
do $$
declare
    role text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.state'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant update on consumer_analytics_internal.job_lock to ' || role;
        execute 'grant update on consumer_analytics_internal.capture_lock to ' || role;
        execute 'grant select, update on consumer_analytics_internal.looks_lock to ' || role;
        execute 'grant execute on function consumer_analytics_internal.total(bigint) to ' || role;
        execute 'grant execute on function consumer_analytics_internal.chain_start(text[], text[], text) to ' || role;
    end loop;
    -- Who reads the snapshots could ask what was reported then, and still can.
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'public.consumer_analytics'::regclass
            and acl.privilege_type = 'SELECT'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant execute on function public.consumer_analytics_reported_at(timestamptz) to ' || role;
    end loop;
    -- Revisions are removed by the role for maintenance alone, which `consumer-analytics roles` makes:
    -- whoever may call this and write to thinned_snapshots could otherwise erase any of them.
    for role in
        select distinct acl.grantee::regrole::text
        from pg_proc as function
        cross join lateral aclexplode(function.proacl) as acl
        where function.oid = 'consumer_analytics_internal.forget_thinned_revisions(timestamptz[])'::regprocedure
            and acl.grantee not in (0, function.proowner)
    loop
        execute 'revoke execute on function consumer_analytics_internal.forget_thinned_revisions(timestamptz[]) from '
            || role;
    end loop;
end
$$;

-- Whether values of a type can be read without running code of whoever made it: base types and
-- their casts are made by superusers and extensions; enumerations and domains are but values. A
-- cast from an enumeration may be a function of its owner's, and of a composite type anything.
create function consumer_analytics_internal.is_plain_type(asked oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    with recursive types as (
        select pg_type.oid, pg_type.typtype, pg_type.typbasetype
        from pg_catalog.pg_type
        where pg_type.oid = asked
        union all
        select below.oid, below.typtype, below.typbasetype
        from types
        join pg_catalog.pg_type as below on below.oid = types.typbasetype
        where types.typtype = 'd'
    )

    select
        not exists (select from types where types.typtype not in ('b', 'd', 'e'))
        and not exists (
            select from types
            join pg_catalog.pg_cast on pg_cast.castsource = types.oid
            join pg_catalog.pg_proc on pg_proc.oid = pg_cast.castfunc
            join pg_catalog.pg_roles on pg_roles.oid = pg_proc.proowner
            where not pg_roles.rolsuper
        );
end;
revoke execute on function consumer_analytics_internal.is_plain_type(oid) from public;

-- As before (0021), and: capture's functions run as their owner, on rows of a table that is
-- somebody else's. Where a column has come to be of a type whose reading runs its maker's code, it is
-- not read; that is an error like any, so everything is counted again.
create or replace function consumer_analytics_internal.guard_capture() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $guard$
declare
    watcher record;
begin
    for watcher in
        select
            pg_get_functiondef(oid) as definition,
            prosrc,
            -- In its block already, from 0021 on.
            prosrc like '%capture_trial%' as is_guarded
        from pg_proc
        where pronamespace = 'consumer_analytics_internal'::regnamespace
            and proname like 'capture\_%'
            and prorettype = 'trigger'::regtype
            and prosrc not like '%is_plain_type%'
    loop
        execute replace(
            watcher.definition,
            watcher.prosrc,
            -- A column of the source may have the name of a variable.
            E'\n#variable_conflict use_variable\nbegin\n'
            || $$    if exists (
        select from pg_attribute as source_column
        where source_column.attrelid = tg_relid
            and source_column.attnum > 0
            -- PostgreSQL's own have lower numbers.
            and source_column.atttypid >= 16384
            and source_column.attname in (
                'event_id', 'customer_id', 'consumer_id', 'event_type', 'payload_json', 'status', 'created_at'
            )
            and not consumer_analytics_internal.is_plain_type(source_column.atttypid)
    ) then
        raise exception 'a column is of a type whose reading would run its owner''s code';
    end if;
$$
            || case
                when watcher.is_guarded
                    then replace(watcher.prosrc, E'\n#variable_conflict use_variable\nbegin\n', '')
                else trim(E'\n' from watcher.prosrc) || $$;
exception
    when query_canceled or admin_shutdown or crash_shutdown or transaction_rollback then
        raise;
    when others then
        -- Before the triggers are put in place they are tried: then it should be seen.
        if current_setting('consumer_analytics.capture_trial', true) = 'on' then
            raise;
        end if;
        insert into consumer_analytics_internal.touched_days (day) values ('-infinity');
        raise log 'consumer_analytics: capture could not note a change of %.% (%): %; the next run counts everything again',
            tg_table_schema, tg_table_name, sqlstate, sqlerrm;
        return null;
end
$$
            end
        );
    end loop;
end
$guard$;

select consumer_analytics_internal.guard_capture();
