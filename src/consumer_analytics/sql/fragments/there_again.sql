-- Whether an instant that was thinned has its snapshot, or chosen consumers' rows: they were written since.
exists (
    select from public.consumer_analytics as whole
    where whole.consumer_id is null and whole.snapshot_timestamp = thinned.snapshot_timestamp
)
or exists (
    select from consumer_analytics_internal.written_apart as apart
    where apart.snapshot_timestamp = thinned.snapshot_timestamp and cardinality(apart.consumers) > 0
)
