-- The digests of instants that were repaired: of the rows as they are now, and of the whole system's.
update consumer_analytics_internal.written_snapshots as written
set digest = sums.digest, whole_digest = sums.whole_digest
from (
    select
        snapshot_timestamp,
        sum(
            {trusted_digest}
        ) as digest,
        max(jsonb_hash_extended(metrics_json - '{{snapshot_source,etl_job}}'::text[], 0))
            filter (where consumer_id is null and jsonb_typeof(metrics_json) = 'object') as whole_digest
    from public.consumer_analytics
    where snapshot_timestamp = any(%(instants)s::timestamptz[])
    group by snapshot_timestamp
) as sums
where sums.snapshot_timestamp = written.snapshot_timestamp
    and (sums.digest, sums.whole_digest) is distinct from (written.digest, written.whole_digest)
