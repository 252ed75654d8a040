-- The snapshots of the consumers, as they are to be written, from `figures`; in
-- its order, which is the unique index's. The JSON is put together as text and
-- cast once: half the cost of building it from parts.
select
    figures.consumer_id,
    instants.at as snapshot_timestamp,
    concat(
        '{{"total_customers": ', customers,
        ', "active_customers": ', {active},
        ', "inactive_customers": ', {inactive},
        ', "customers_by_status": {{', substr(concat({by_status}), 2), '}}',
        ', "avg_customer_lifetime_days": ', case
            when dated > 0
                then round((dated * instants.at_us - created_us) / dated / 86400000000, 2)::text
            else 'null'
        end,
        ', "total_events": ', events,
        ', "events_by_type": {{', substr(concat({by_type}), 2), '}}',
        instants.window_json,
        ', "new_customers_in_window": ', new_customers,
        ', "new_events_in_window": ', new_events,
        instants.provenance_json
    )::jsonb as metrics_json
from figures
join instants using (slot)
{joined}
-- A consumer has a row if it is registered, or owns anything, from before the instant.
where registered or events > 0 or customers > 0
