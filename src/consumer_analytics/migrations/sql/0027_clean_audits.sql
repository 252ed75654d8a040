-- What an audit that looks only at what has happened since the last clean one goes on from.

-- The last audit of everything that found no difference; no row where there was none yet, or where
-- too much has been noted since.
create table consumer_analytics_internal.clean_audits (
    audited_at timestamptz not null,
    -- Up to where runs had counted.
    processed_through timestamptz not null,
    -- Capture's triggers, and the tables that they stood on: whatever changed them changed this.
    capture text not null,
    -- What was noted as vanished.
    vanished numeric not null
);
create unique index clean_audits_one on consumer_analytics_internal.clean_audits ((true));

-- The rows of each instant as they were found right: a sum of a hash of each.
create table consumer_analytics_internal.audited_snapshots (
    snapshot_timestamp timestamptz primary key,
    digest numeric not null
);

-- What capture has noted since, and runs have taken in: the first of the days that they counted
-- again, and the customers that they looked at.
create table consumer_analytics_internal.noted_changes (
    note_id bigint generated always as identity primary key,
    day date,
    customer_id uuid,
    status_before text,
    created_before timestamptz,
    event_at timestamptz,
    came_at timestamptz
);

-- Notes are kept when they are taken away, by whatever does it.
create function consumer_analytics_internal.keep_noted() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from consumer_analytics_internal.clean_audits) then
        return null;
    end if;
    if tg_table_name = 'touched_days' then
        insert into consumer_analytics_internal.noted_changes (day)
        select min(day)
        from old_rows
        having count(*) > 0;
    else
        insert into consumer_analytics_internal.noted_changes
            (customer_id, status_before, created_before, event_at, came_at)
        select customer_id, status_before, created_before, event_at, came_at
        from old_rows
        order by touched_id;
    end if;
    -- Nobody asks for them: then the next audit is one of everything.
    if (select max(note_id) - min(note_id) from consumer_analytics_internal.noted_changes) > 1000000 then
        delete from consumer_analytics_internal.clean_audits;
        delete from consumer_analytics_internal.noted_changes;
    end if;
    return null;
end
$$;
revoke all on function consumer_analytics_internal.keep_noted from public;

create trigger keep_noted after delete on consumer_analytics_internal.touched_days
referencing old table as old_rows for each statement
execute function consumer_analytics_internal.keep_noted();
create trigger keep_noted after delete on consumer_analytics_internal.touched_customers
referencing old table as old_rows for each statement
execute function consumer_analytics_internal.keep_noted();

-- Who writes the counts by day writes these.
do $$
declare
    role text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.event_days'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant select, insert, update, delete on consumer_analytics_internal.clean_audits, '
            || 'consumer_analytics_internal.audited_snapshots, consumer_analytics_internal.noted_changes to ' || role;
    end loop;
end
$$;
