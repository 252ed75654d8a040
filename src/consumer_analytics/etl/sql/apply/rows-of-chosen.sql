-- Of what was rendered the rows of consumers that were backfilled by themselves are written, where
-- no whole snapshot is; one that is missing comes back from where it came.
with unchosen as (
    delete from rendered_snapshots as new
    where not exists (
        select
        from consumer_analytics_internal.written_apart as apart
        where apart.snapshot_timestamp = new.snapshot_timestamp and new.consumer_id = any(apart.consumers)
    )
)

update rendered_snapshots as new
set metrics_json = new.metrics_json || jsonb_build_object('snapshot_source', apart.snapshot_source)
from consumer_analytics_internal.written_apart as apart
where apart.snapshot_timestamp = new.snapshot_timestamp and new.consumer_id = any(apart.consumers)
