-- The three source tables, where a database has none of them yet, so that the
-- product runs by itself. A database that has any keeps its own untouched.
-- There are no foreign keys: rows that point nowhere are counted, not refused.
do $$
declare
    source_schema text := current_setting('consumer_analytics.source_schema');
begin
    if to_regclass(format('%I.consumers', source_schema)) is not null
        or to_regclass(format('%I.customers', source_schema)) is not null
        or to_regclass(format('%I.customer_events', source_schema)) is not null
    then
        return;
    end if;

    execute format('create schema if not exists %I', source_schema);
    execute format($ddl$
        create table %1$I.consumers (
            consumer_id uuid primary key,
            name text,
            status text default 'ACTIVE',
            created_at timestamptz not null default now()
        );
        create table %1$I.customers (
            customer_id uuid primary key,
            consumer_id uuid,
            status text,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        );
        create table %1$I.customer_events (
            event_id uuid primary key,
            customer_id uuid,
            consumer_id uuid,
            event_type text,
            payload_json jsonb not null default '{}',
            created_at timestamptz not null default now()
        );
        -- What a run reads is a range of this index.
        create index customer_events_created_at_idx on %1$I.customer_events (created_at);
        -- When a deleted customer came into being.
        create index customer_events_creation_idx on %1$I.customer_events (customer_id, created_at)
            where event_type = 'customer_creation';
    $ddl$, source_schema);
end
$$;
