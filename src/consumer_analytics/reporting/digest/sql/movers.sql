-- The consumers whose events of the week differ most from those of the week before: most risen
-- first, most fallen last.
with totals as (
    -- One that did not exist yet had none. Of a row that tells no number nothing can be said.
    select
        now.consumer_id,
        jsonb_path_query_first(now.metrics_json -> 'total_events', {a_number})::bigint as total,
        case
            when before.consumer_id is null then 0
            else jsonb_path_query_first(before.metrics_json -> 'total_events', {a_number})::bigint
        end as total_before,
        case
            when earlier.consumer_id is null then 0
            else jsonb_path_query_first(earlier.metrics_json -> 'total_events', {a_number})::bigint
        end as total_earlier
    from public.consumer_analytics as now
    left join public.consumer_analytics as before
        on now.consumer_id = before.consumer_id and before.snapshot_timestamp = %(before)s
    left join public.consumer_analytics as earlier
        on now.consumer_id = earlier.consumer_id and earlier.snapshot_timestamp = %(earlier)s
    where now.consumer_id is not null and now.snapshot_timestamp = %(now)s
),

compared as (
    select consumer_id, total - total_before as events, total_before - total_earlier as old
    from totals
),

moved as (
    (select * from compared where events > old order by events - old desc, consumer_id limit %(most)s)
    union all
    (select * from compared where events < old order by events - old, consumer_id limit %(most)s)
)

select
    coalesce(known.name::text, moved.consumer_id::text) as name,
    moved.events,
    moved.old
from moved
left join {consumers} as known on moved.consumer_id = known.consumer_id
order by moved.events - moved.old desc, moved.consumer_id
