-- Stretches in which vanished events were accepted, and are counted no more: what is remembered of
-- customers whom such an event told stands all the same, and an audit has to know why.
create table consumer_analytics_internal.accepted_events (
    consumer_id uuid,
    event_type text not null,
    since timestamptz not null,
    until timestamptz not null,
    accepted_at timestamptz not null default clock_timestamp(),
    unique nulls not distinct (consumer_id, event_type, since, until)
);

-- Who notes what has vanished writes these.
do $$
declare
    role text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.vanished_events'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant select, insert, update, delete on consumer_analytics_internal.accepted_events to ' || role;
    end loop;
end
$$;
