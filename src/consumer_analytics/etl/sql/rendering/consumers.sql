-- The snapshots of the consumers, as they are to be written, from `figures`; in
-- its order, which is the unique index's. The JSON is put together as text and
-- cast once, its keys in jsonb's own order: half the cost of building it from
-- parts.
select
    figures.consumer_id,
    instants.at as snapshot_timestamp,
    concat(
        instants.provenance_json,
        ',"total_events":', events,
        ',"events_by_type":{{', right(concat({by_type}), -1), '}}',
        instants.source_json,
        ',"total_customers":', customers,
        ',"active_customers":', {active},
        instants.window_json,
        ',"new_events_in_window":', new_events,
        ',"new_customers_in_window":', new_customers,
        '}},"inactive_customers":', {inactive},
        ',"customers_by_status":{{', right(concat({by_status}), -1), '}}',
        ',"avg_customer_lifetime_days":', case
            when dated > 0
                then round((dated * instants.at_us - created_us) / dated / 86400000000, 2)::text
            else 'null'
        end,
        '}}'
    )::jsonb as metrics_json
from figures
join instants using (slot)
{joined}
-- A consumer has a row if it is registered, or owns anything, from before the instant.
where registered or events > 0 or customers > 0
