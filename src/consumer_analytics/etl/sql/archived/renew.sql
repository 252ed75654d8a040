-- What the database keeps of the files becomes what they have.
with gone as (
    delete from consumer_analytics_internal.archived_counts
),

untrue as (
    delete from consumer_analytics_internal.archived_events as known
    where event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and not exists (select from pg_temp.archived_told as told where told.event_id = known.event_id)
),

told as (
    insert into consumer_analytics_internal.archived_events as known
        (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
    select event_id, customer_id, consumer_id, event_type, payload_json, created_at
    from pg_temp.archived_told
    on conflict (event_id) do update
    set customer_id = excluded.customer_id,
        consumer_id = excluded.consumer_id,
        event_type = excluded.event_type,
        payload_json = excluded.payload_json,
        created_at = excluded.created_at
)

insert into consumer_analytics_internal.archived_counts (day, consumer_id, event_type, n)
select since::date, consumer_id, event_type, n
from pg_temp.archived_anew
