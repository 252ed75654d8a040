-- Corrections of the counts that snapshots do not tell yet: so many events of a day more, or less.
-- Written with the counts, gone with the snapshots that say it.
create table consumer_analytics_internal.untold_events (
    consumer_id uuid not null,
    day date not null,
    event_type text not null,
    -- Snapshots up to here were written before.
    until timestamptz not null,
    n bigint not null,
    primary key (consumer_id, day, event_type, until)
);

-- Who writes the counts by day writes this.
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
        execute 'grant select, insert, update, delete on consumer_analytics_internal.untold_events to ' || role;
    end loop;
end
$$;
