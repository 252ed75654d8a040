-- What is odd with a consumer, as far as snapshots tell: when it was noticed, against what, and
-- until when.
create table consumer_analytics_internal.anomalies (
    anomaly_id bigint generated always as identity primary key,
    consumer_id uuid not null,
    kind text not null check (kind in ('silent', 'fewer', 'more', 'customers', 'type')),
    -- The type that floods; null for the other kinds.
    event_type text,
    -- The window in which it was noticed, what was counted in it, and what is usual.
    begins timestamptz not null,
    ends timestamptz not null,
    observed double precision not null,
    expected double precision not null,
    low double precision not null,
    high double precision not null,
    -- The last snapshot that still showed it, and the first that did not.
    seen_at timestamptz not null,
    over_at timestamptz
);
-- A consumer falls silent once at a time: to have few events is the same thing, better.
create unique index anomalies_open_idx on consumer_analytics_internal.anomalies (
    consumer_id, (case when kind = 'silent' then 'fewer' else kind end), coalesce(event_type, '')
)
where over_at is null;
create index anomalies_consumer_idx on consumer_analytics_internal.anomalies (consumer_id, ends);

-- Up to which snapshot consumers have been judged: each is judged once.
create table consumer_analytics_internal.anomaly_looks (judged_to timestamptz not null);
insert into consumer_analytics_internal.anomaly_looks values ('-infinity');

-- Who writes incidents writes these; who may see the ones may see the others.
do $$
declare
    role text;
    writes boolean;
begin
    for role, writes in
        select acl.grantee::regrole::text, bool_or(acl.privilege_type = 'UPDATE')
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.incidents'::regclass
            and acl.privilege_type in ('SELECT', 'UPDATE')
            and acl.grantee not in (0, class.relowner)
        group by 1
    loop
        execute 'grant select on consumer_analytics_internal.anomalies to ' || role;
        if writes then
            execute 'grant select, insert, update, delete on consumer_analytics_internal.anomalies, consumer_analytics_internal.anomaly_looks to ' || role;
        end if;
    end loop;
end
$$;
