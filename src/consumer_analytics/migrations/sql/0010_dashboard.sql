-- What reading by the instant needs, and the snapshots flat, for tools that want columns.

-- All consumers at one instant. 6 bytes a row: the same instant is stored once a page.
create index consumer_analytics_snapshot_idx on public.consumer_analytics (snapshot_timestamp);
-- The whole system in order of time. The unique index holds these rows as well, but the
-- planner does not know that rows with the same NULL are in the order of its second column.
create index consumer_analytics_whole_idx on public.consumer_analytics (snapshot_timestamp)
    where consumer_id is null;

create view public.consumer_analytics_flat with (security_invoker = true) as
select
    analytics_id,
    consumer_id,
    snapshot_timestamp,
    (metrics_json ->> 'total_customers')::bigint as total_customers,
    (metrics_json ->> 'active_customers')::bigint as active_customers,
    (metrics_json ->> 'inactive_customers')::bigint as inactive_customers,
    coalesce(round(
        (metrics_json ->> 'active_customers')::numeric
        / nullif((metrics_json ->> 'total_customers')::numeric, 0), 4
    ), 0) as active_ratio,
    (metrics_json ->> 'avg_customer_lifetime_days')::numeric as avg_customer_lifetime_days,
    (metrics_json ->> 'total_events')::bigint as total_events,
    (metrics_json #>> '{incremental_stats,window_start}')::timestamptz as window_start,
    (metrics_json #>> '{incremental_stats,window_end}')::timestamptz as window_end,
    (metrics_json #>> '{incremental_stats,new_customers_in_window}')::bigint as new_customers_in_window,
    (metrics_json #>> '{incremental_stats,new_events_in_window}')::bigint as new_events_in_window,
    metrics_json ->> 'snapshot_source' as snapshot_source,
    metrics_json ->> 'snapshot_source' like '%backfill' as is_backfilled,
    created_at
from public.consumer_analytics
where consumer_id is not null;

create view public.consumer_analytics_flat_latest with (security_invoker = true) as
select *
from public.consumer_analytics_flat
where snapshot_timestamp = (select max(snapshot_timestamp) from public.consumer_analytics);

create view public.consumer_analytics_flat_system with (security_invoker = true) as
select
    analytics_id,
    snapshot_timestamp,
    (metrics_json ->> 'total_customers_all_consumers')::bigint as total_customers,
    (metrics_json ->> 'active_customers_all_consumers')::bigint as active_customers,
    (metrics_json ->> 'inactive_customers_all_consumers')::bigint as inactive_customers,
    (metrics_json ->> 'system_wide_active_ratio')::numeric as active_ratio,
    (metrics_json ->> 'consumers_in_system')::bigint as consumers,
    (metrics_json ->> 'total_events_all_consumers')::bigint as total_events,
    (metrics_json ->> 'unattributed_events')::bigint as unattributed_events,
    (metrics_json ->> 'unattributed_customers')::bigint as unattributed_customers,
    (metrics_json #>> '{incremental_stats,window_start}')::timestamptz as window_start,
    (metrics_json #>> '{incremental_stats,window_end}')::timestamptz as window_end,
    (metrics_json #>> '{incremental_stats,new_customers_in_window}')::bigint as new_customers_in_window,
    (metrics_json #>> '{incremental_stats,new_events_in_window}')::bigint as new_events_in_window,
    metrics_json ->> 'snapshot_source' as snapshot_source,
    metrics_json ->> 'snapshot_source' like '%backfill' as is_backfilled,
    created_at
from public.consumer_analytics
where consumer_id is null;

create view public.consumer_analytics_flat_events with (security_invoker = true) as
select
    snapshot.analytics_id,
    snapshot.consumer_id,
    snapshot.snapshot_timestamp,
    by_type.key as event_type,
    by_type.value::bigint as total_events
from public.consumer_analytics as snapshot
cross join lateral jsonb_each_text(
    coalesce(
        snapshot.metrics_json -> 'events_by_type',
        snapshot.metrics_json -> 'events_by_type_all_consumers'
    )
) as by_type;

create view public.consumer_analytics_flat_statuses with (security_invoker = true) as
select
    snapshot.analytics_id,
    snapshot.consumer_id,
    snapshot.snapshot_timestamp,
    by_status.key as status,
    by_status.value::bigint as customers
from public.consumer_analytics as snapshot
cross join lateral jsonb_each_text(
    coalesce(
        snapshot.metrics_json -> 'customers_by_status',
        snapshot.metrics_json -> 'customers_by_status_all_consumers'
    )
) as by_status;

create view public.consumer_analytics_flat_revisions with (security_invoker = true) as
select
    revision_id,
    analytics_id,
    consumer_id,
    snapshot_timestamp,
    reported_from,
    reported_until,
    reason,
    coalesce(metrics_json ->> 'total_customers', metrics_json ->> 'total_customers_all_consumers')::bigint
        as total_customers,
    coalesce(metrics_json ->> 'active_customers', metrics_json ->> 'active_customers_all_consumers')::bigint
        as active_customers,
    coalesce(metrics_json ->> 'inactive_customers', metrics_json ->> 'inactive_customers_all_consumers')::bigint
        as inactive_customers,
    coalesce(metrics_json ->> 'total_events', metrics_json ->> 'total_events_all_consumers')::bigint
        as total_events,
    metrics_json ->> 'snapshot_source' as snapshot_source
from public.consumer_analytics_revisions;

comment on view public.consumer_analytics_flat is
    'A row per consumer and snapshot: the figures of metrics_json as columns.';
comment on view public.consumer_analytics_flat_latest is
    'A row per consumer: the figures at the latest snapshot.';
comment on view public.consumer_analytics_flat_system is
    'A row per snapshot: the figures of the whole system as columns.';
comment on view public.consumer_analytics_flat_events is
    'A row per snapshot row and event type; consumer_id NULL is the whole system.';
comment on view public.consumer_analytics_flat_statuses is
    'A row per snapshot row and customers'' status; consumer_id NULL is the whole system.';
comment on view public.consumer_analytics_flat_revisions is
    'A row per restatement: what a snapshot row said from reported_from until reported_until.';

-- Tools show these beside the columns; docs/reference/views.md has the same.
do $$
declare
    said record;
    place record;
begin
    for said in
        select *
        from (values
            ('analytics_id', 'The snapshot row''s number; grows with insertion.'),
            ('revision_id', 'The restatement''s number; grows with time.'),
            ('consumer_id', 'Whose figures; where a view has the whole system too, NULL is that.'),
            ('snapshot_timestamp', 'The instant; what happened at it belongs to the next snapshot.'),
            ('total_customers', 'Customers that existed at the instant.'),
            ('active_customers', 'Of those, the ones with status ACTIVE.'),
            ('inactive_customers', 'Of those, the ones with status INACTIVE.'),
            ('active_ratio', 'Active by all customers, four decimals; 0 without customers.'),
            ('avg_customer_lifetime_days', 'Mean age of the customers in days; NULL without customers.'),
            ('consumers', 'Consumers in the system.'),
            ('total_events', 'Events before the instant, since the beginning.'),
            ('unattributed_events', 'Events whose consumer_id is NULL; in no other sum.'),
            ('unattributed_customers', 'Customers whose consumer_id is NULL; in no other sum.'),
            ('window_start', 'Beginning of the window that the run or period covered.'),
            ('window_end', 'End of that window, exclusive.'),
            ('new_customers_in_window', 'Customers existing at the instant and created in the window.'),
            ('new_events_in_window', 'Events of the window.'),
            ('snapshot_source', 'Who wrote it: airflow_etl, cli_etl, airflow_backfill, cli_backfill.'),
            ('is_backfilled', 'Whether a backfill wrote it.'),
            ('created_at', 'When the row was written.'),
            ('event_type', 'The type; (none) for events without one.'),
            ('status', 'The status; (none) for customers without one.'),
            ('customers', 'Customers with this status at the instant.'),
            ('reported_from', 'Since when the row said this.'),
            ('reported_until', 'When it was restated.'),
            ('reason', 'What restated it.')
        ) as columns (name, meaning)
    loop
        for place in
            select attrelid::regclass as view
            from pg_attribute
            join pg_class on pg_class.oid = attrelid
            where relnamespace = 'public'::regnamespace
                and relkind = 'v'
                and (relname = 'consumer_analytics_flat' or relname like 'consumer\_analytics\_flat\_%')
                and attname = said.name
        loop
            execute format('comment on column %s.%I is %L', place.view, said.name, said.meaning);
        end loop;
    end loop;
end
$$;
