-- How many customers of `known.consumer_id` have ended before `known.at` by events that were taken in
-- since its row has said how many there were.
select count(distinct life.customer_id)
from public.consumer_analytics as said
join consumer_analytics_internal.deleted_customers as life
    on life.consumer_id = said.consumer_id
        and life.ended_by = 'event'
        and life.deleted_at < said.snapshot_timestamp
where said.consumer_id = known.consumer_id
    and said.snapshot_timestamp = known.at
    and life.known_since > coalesce(
        (
            select max(before.reported_until)
            from public.consumer_analytics_revisions as before
            where before.analytics_id = said.analytics_id
                and before.metrics_json -> 'total_customers' is distinct from said.metrics_json -> 'total_customers'
        ),
        said.created_at
    )
