-- Several databases that together are the source, and the one that their figures are put
-- together in.

-- What this database is, where it is one of several; no row: it stands for itself.
create table consumer_analytics_internal.federation (
    is_only boolean primary key default true check (is_only),
    role text not null check (role in ('analytics', 'shard')),
    identity uuid not null default gen_random_uuid(),
    -- Of a shard: what it is called, and the identity of the database that its figures go to.
    name text,
    analytics uuid,
    since timestamptz not null default clock_timestamp(),
    check ((role = 'shard') = (name is not null and analytics is not null))
);

-- The shards of this database, and up to where their snapshots and revisions were read.
create table consumer_analytics_internal.shards (
    name text primary key,
    identity uuid not null unique,
    rows_through bigint not null default 0,
    revisions_through bigint not null default 0,
    since timestamptz not null default clock_timestamp()
);

-- Instants that some shards have a snapshot of, and not all.
create table consumer_analytics_internal.shards_awaited (
    snapshot_timestamp timestamptz primary key
);

-- Runs over all shards that have begun to write and are not published yet.
create table consumer_analytics_internal.sharded_runs (
    pass_id bigint generated always as identity primary key,
    run_key text not null unique,
    snapshot_source text not null,
    requested_at timestamptz not null,
    reached_at timestamptz not null,
    named boolean not null,
    held_back_by jsonb not null,
    -- What the shards' watermarks are set to before.
    watermark timestamptz not null,
    opened_at timestamptz not null default clock_timestamp()
);

-- Locked by whoever works over all shards.
create table consumer_analytics_internal.shards_lock ();

do $$
declare
    role text;
    kept text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.event_days'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        foreach kept in array array['federation', 'shards', 'shards_awaited', 'sharded_runs'] loop
            execute format(
                'grant select, insert, update, delete on consumer_analytics_internal.%I to %s', kept, role
            );
        end loop;
        execute format('grant update on consumer_analytics_internal.shards_lock to %s', role);
    end loop;
end
$$;
