-- Means that need a birth which nothing tells any more stay as they were reported.
with {birthless}

update rendered_snapshots as new
set metrics_json = new.metrics_json || jsonb_build_object(
    'avg_customer_lifetime_days', old.metrics_json -> 'avg_customer_lifetime_days'
)
from public.consumer_analytics as old
where old.consumer_id = new.consumer_id
    and old.snapshot_timestamp = new.snapshot_timestamp
    and old.metrics_json -> 'avg_customer_lifetime_days'
    is distinct from new.metrics_json -> 'avg_customer_lifetime_days'
    and old.metrics_json ? 'avg_customer_lifetime_days'
    and exists (
        select from birthless
        where birthless.consumer_id = new.consumer_id
            and birthless.since < new.snapshot_timestamp
            and birthless.until >= new.snapshot_timestamp
    )
