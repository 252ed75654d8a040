-- The flat views over rows that somebody edited: a figure that is no number, or larger than any count,
-- is NULL, and a time that is none is too, where the casts of 0010 made the whole query an error.
--
-- A path finds nothing in what is no number. To look at a value's type first would take a document
-- apart three times for each figure. A fraction where a count stands is rounded. Of times nearly all are
-- written in one way: to try that before all others takes a third of the time.
create or replace view public.consumer_analytics_flat with (security_invoker = true) as
select
    analytics_id,
    consumer_id,
    snapshot_timestamp,
    jsonb_path_query_first(metrics_json -> 'total_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as total_customers,
    jsonb_path_query_first(metrics_json -> 'active_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as active_customers,
    jsonb_path_query_first(metrics_json -> 'inactive_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as inactive_customers,
    case jsonb_path_query_first(metrics_json -> 'total_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::numeric
        when 0 then 0
        else
            round(
                jsonb_path_query_first(metrics_json -> 'active_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::numeric
                / jsonb_path_query_first(metrics_json -> 'total_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::numeric,
                4
            )
    end as active_ratio,
    jsonb_path_query_first(metrics_json -> 'avg_customer_lifetime_days', 'strict $ ? (@ > -1e18 && @ < 1e18)')::numeric
        as avg_customer_lifetime_days,
    jsonb_path_query_first(metrics_json -> 'total_events', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as total_events,
    (
        coalesce(
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_start}',
                'strict $.datetime("YYYY-MM-DD\"T\"HH24:MI:SSTZH:TZM")', '{}', true
            ),
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_start}',
                'strict $.datetime() ? (@.type() starts with "timestamp")', '{}', true
            )
        ) #>> '{}'
    )::timestamptz as window_start,
    (
        coalesce(
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_end}',
                'strict $.datetime("YYYY-MM-DD\"T\"HH24:MI:SSTZH:TZM")', '{}', true
            ),
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_end}',
                'strict $.datetime() ? (@.type() starts with "timestamp")', '{}', true
            )
        ) #>> '{}'
    )::timestamptz as window_end,
    jsonb_path_query_first(
        metrics_json #> '{incremental_stats,new_customers_in_window}', 'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as new_customers_in_window,
    jsonb_path_query_first(
        metrics_json #> '{incremental_stats,new_events_in_window}', 'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as new_events_in_window,
    metrics_json ->> 'snapshot_source' as snapshot_source,
    metrics_json ->> 'snapshot_source' like '%backfill' as is_backfilled,
    created_at
from public.consumer_analytics
where consumer_id is not null;

create or replace view public.consumer_analytics_flat_system with (security_invoker = true) as
select
    analytics_id,
    snapshot_timestamp,
    jsonb_path_query_first(metrics_json -> 'total_customers_all_consumers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as total_customers,
    jsonb_path_query_first(metrics_json -> 'active_customers_all_consumers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as active_customers,
    jsonb_path_query_first(metrics_json -> 'inactive_customers_all_consumers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as inactive_customers,
    jsonb_path_query_first(metrics_json -> 'system_wide_active_ratio', 'strict $ ? (@ > -1e18 && @ < 1e18)')::numeric
        as active_ratio,
    jsonb_path_query_first(metrics_json -> 'consumers_in_system', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as consumers,
    jsonb_path_query_first(metrics_json -> 'total_events_all_consumers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as total_events,
    jsonb_path_query_first(metrics_json -> 'unattributed_events', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as unattributed_events,
    jsonb_path_query_first(metrics_json -> 'unattributed_customers', 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint
        as unattributed_customers,
    (
        coalesce(
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_start}',
                'strict $.datetime("YYYY-MM-DD\"T\"HH24:MI:SSTZH:TZM")', '{}', true
            ),
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_start}',
                'strict $.datetime() ? (@.type() starts with "timestamp")', '{}', true
            )
        ) #>> '{}'
    )::timestamptz as window_start,
    (
        coalesce(
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_end}',
                'strict $.datetime("YYYY-MM-DD\"T\"HH24:MI:SSTZH:TZM")', '{}', true
            ),
            jsonb_path_query_first(
                metrics_json #> '{incremental_stats,window_end}',
                'strict $.datetime() ? (@.type() starts with "timestamp")', '{}', true
            )
        ) #>> '{}'
    )::timestamptz as window_end,
    jsonb_path_query_first(
        metrics_json #> '{incremental_stats,new_customers_in_window}', 'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as new_customers_in_window,
    jsonb_path_query_first(
        metrics_json #> '{incremental_stats,new_events_in_window}', 'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as new_events_in_window,
    metrics_json ->> 'snapshot_source' as snapshot_source,
    metrics_json ->> 'snapshot_source' like '%backfill' as is_backfilled,
    created_at
from public.consumer_analytics
where consumer_id is null;

create or replace view public.consumer_analytics_flat_events with (security_invoker = true) as
select
    snapshot.analytics_id,
    snapshot.consumer_id,
    snapshot.snapshot_timestamp,
    by_type.key as event_type,
    jsonb_path_query_first(by_type.value, 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint as total_events
from public.consumer_analytics as snapshot
cross join lateral jsonb_each(
    jsonb_path_query_first(
        coalesce(
            snapshot.metrics_json -> 'events_by_type',
            snapshot.metrics_json -> 'events_by_type_all_consumers'
        ),
        'strict $ ? (@.type() == "object")'
    )
) as by_type;

create or replace view public.consumer_analytics_flat_statuses with (security_invoker = true) as
select
    snapshot.analytics_id,
    snapshot.consumer_id,
    snapshot.snapshot_timestamp,
    by_status.key as status,
    jsonb_path_query_first(by_status.value, 'strict $ ? (@ > -1e18 && @ < 1e18)')::bigint as customers
from public.consumer_analytics as snapshot
cross join lateral jsonb_each(
    jsonb_path_query_first(
        coalesce(
            snapshot.metrics_json -> 'customers_by_status',
            snapshot.metrics_json -> 'customers_by_status_all_consumers'
        ),
        'strict $ ? (@.type() == "object")'
    )
) as by_status;

create or replace view public.consumer_analytics_flat_revisions with (security_invoker = true) as
select
    revision_id,
    analytics_id,
    consumer_id,
    snapshot_timestamp,
    reported_from,
    reported_until,
    reason,
    jsonb_path_query_first(
        coalesce(metrics_json -> 'total_customers', metrics_json -> 'total_customers_all_consumers'),
        'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as total_customers,
    jsonb_path_query_first(
        coalesce(metrics_json -> 'active_customers', metrics_json -> 'active_customers_all_consumers'),
        'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as active_customers,
    jsonb_path_query_first(
        coalesce(metrics_json -> 'inactive_customers', metrics_json -> 'inactive_customers_all_consumers'),
        'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as inactive_customers,
    jsonb_path_query_first(
        coalesce(metrics_json -> 'total_events', metrics_json -> 'total_events_all_consumers'),
        'strict $ ? (@ > -1e18 && @ < 1e18)'
    )::bigint as total_events,
    metrics_json ->> 'snapshot_source' as snapshot_source
from public.consumer_analytics_revisions;
