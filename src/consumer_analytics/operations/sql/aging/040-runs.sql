-- Runs that ended, or were given up, long ago. One whose snapshot has got lost
-- stays: it is what the audit knows that by.
from consumer_analytics_internal.runs as aged
where aged.opened_at < %(before)s::timestamptz
    and (
        aged.summary ->> 'window_end' is null
        or exists (
            select from public.consumer_analytics as snapshot
            where snapshot.consumer_id is null and snapshot.snapshot_timestamp = aged.reached_at
        )
        -- Thinned, or taken back: it is not missed.
        or not exists (
            select from consumer_analytics_internal.written_snapshots as written
            where written.is_whole and written.snapshot_timestamp = aged.reached_at
        )
        or aged.reached_at < (select min(snapshot_timestamp) from public.consumer_analytics)
    )
    and aged.run_id <> (select max(run_id) from consumer_analytics_internal.runs)
