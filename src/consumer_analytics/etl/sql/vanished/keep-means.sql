-- Means that need a birth which nothing tells any more stay as they were reported.
with {birthless}

update rendered_snapshots as new
set metrics_json = new.metrics_json || jsonb_build_object(
    'avg_customer_lifetime_days', old.metrics_json -> 'avg_customer_lifetime_days'
)
from birthless
join public.consumer_analytics as old using (consumer_id)
where new.consumer_id = birthless.consumer_id
    and birthless.instants @> new.snapshot_timestamp
    and old.snapshot_timestamp = new.snapshot_timestamp
    and old.metrics_json ? 'avg_customer_lifetime_days'
