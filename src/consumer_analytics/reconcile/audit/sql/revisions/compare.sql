-- Instants whose revisions are not those that were written: how many, and whether they say the same.
select snapshot_timestamp, coalesce(there.n, 0), coalesce(written.revisions, 0)
from (
    select
        snapshot_timestamp,
        count(*) as n,
        sum(
            hash_record_extended(
                (
                    analytics_id, consumer_id, snapshot_timestamp, metrics_json::text, reported_from,
                    reported_until, reason
                ),
                0
            )
        ) as digest
    from public.consumer_analytics_revisions
    where snapshot_timestamp >= %(lower)s::timestamptz and snapshot_timestamp <= %(upper)s::timestamptz
    group by snapshot_timestamp
) as there
full join (
    select snapshot_timestamp, revisions, revisions_digest
    from consumer_analytics_internal.written_snapshots
    where revisions > 0
        and snapshot_timestamp >= %(lower)s::timestamptz
        and snapshot_timestamp <= %(upper)s::timestamptz
) as written using (snapshot_timestamp)
where (coalesce(there.n, 0), coalesce(there.digest, 0))
    <> (coalesce(written.revisions, 0), coalesce(written.revisions_digest, 0))
order by snapshot_timestamp
