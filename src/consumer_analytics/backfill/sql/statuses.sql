-- Statuses that are likely to come up: those that customers have today or had in the
-- last snapshot, and of some events. One that is missed costs time, no more.
select case when status ~ '\S' then status else '(none)' end
from (
    select distinct status::text
    from {customers} as customers
    union
    select jsonb_object_keys(metrics_json -> 'customers_by_status_all_consumers')
    from (
        select metrics_json
        from public.consumer_analytics
        where consumer_id is null
        order by snapshot_timestamp desc
        limit 1
    ) as latest
    where jsonb_typeof(metrics_json -> 'customers_by_status_all_consumers') = 'object'
    union
    select
        case when {readable} then payload_json end
        ->> case event_type::text when {customer_status_change} then {old_status_key} else {status_key} end
    from (
        select event_type, payload_json
        from {sampled} as customer_events
        limit 50000
    ) as sampled
    where event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
) as seen
