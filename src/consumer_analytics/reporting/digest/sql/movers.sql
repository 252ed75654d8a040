-- The consumers whose events of the week differ most from those of the week before: most risen
-- first, most fallen last.
with compared as (
    select
        now.consumer_id,
        (now.metrics_json ->> 'total_events')::bigint
        - coalesce((before.metrics_json ->> 'total_events')::bigint, 0) as events,
        coalesce((before.metrics_json ->> 'total_events')::bigint, 0)
        - coalesce((earlier.metrics_json ->> 'total_events')::bigint, 0) as old
    from public.consumer_analytics as now
    left join public.consumer_analytics as before
        on now.consumer_id = before.consumer_id and before.snapshot_timestamp = %(before)s
    left join public.consumer_analytics as earlier
        on now.consumer_id = earlier.consumer_id and earlier.snapshot_timestamp = %(earlier)s
    where now.consumer_id is not null and now.snapshot_timestamp = %(now)s
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
