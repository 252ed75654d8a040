-- Days of customer_events that were archived: files outside the database, and what of them has to
-- be at hand without reading any.

-- Up to where: days before this one are the archive's, from it on they are the source table's.
create table consumer_analytics_internal.archive (
    is_only boolean primary key default true check (is_only),
    first_day date not null check (isfinite(first_day)),
    changed_at timestamptz not null default clock_timestamp()
);

-- The manifest: what is read is these files and no other.
create table consumer_analytics_internal.archived_files (
    -- Below the lake's address.
    name text primary key,
    day date not null,
    rows bigint not null check (rows > 0),
    bytes bigint not null check (bytes > 0),
    sha256 text not null,
    -- The sum over all rows of 60 bits of a digest of each, whatever their order.
    digest numeric not null,
    archived_at timestamptz not null default clock_timestamp()
);
create index archived_files_day_idx on consumer_analytics_internal.archived_files (day);

-- How many rows the files of a day have, by consumer and type, both as the rows have them.
create table consumer_analytics_internal.archived_counts (
    day date not null,
    consumer_id uuid,
    event_type text,
    n bigint not null check (n > 0)
);
create index archived_counts_day_idx on consumer_analytics_internal.archived_counts (day);

-- Rows of the files that tell of customers' lives: each lifecycle event, the first event of each
-- life, and each event that is of another consumer than the customer's event before it.
create table consumer_analytics_internal.archived_events (
    event_id uuid primary key,
    customer_id uuid not null,
    consumer_id uuid,
    event_type text,
    payload_json json,
    created_at timestamptz not null
);
create index archived_events_customer_idx on consumer_analytics_internal.archived_events (customer_id);
create index archived_events_created_at_idx on consumer_analytics_internal.archived_events (created_at);

-- Who writes the counts by day writes these.
do $$
declare
    role text;
    archive text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.event_days'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        foreach archive in array array['archive', 'archived_files', 'archived_counts', 'archived_events'] loop
            execute format(
                'grant select, insert, update, delete on consumer_analytics_internal.%I to %s', archive, role
            );
        end loop;
    end loop;
end
$$;
