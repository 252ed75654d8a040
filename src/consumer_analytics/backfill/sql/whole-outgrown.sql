-- Whole snapshots to which rows of chosen consumers are added here, that will say something else of
-- them, or that have rows of them which should not be there: when, and where the window begins. The
-- whole system's row has to be summed again there. With instants that runs have come to, and at which
-- such a row stands alone.
with outgrown as (
    select new.snapshot_timestamp, written.window_start
    from rendered_snapshots as new
    join consumer_analytics_internal.written_snapshots as written
        on written.snapshot_timestamp = new.snapshot_timestamp and written.is_whole
    left join public.consumer_analytics as old
        on old.consumer_id = new.consumer_id and old.snapshot_timestamp = new.snapshot_timestamp
    cross join lateral (
        select case when jsonb_typeof(old.metrics_json) = 'object' then old.metrics_json else '{{}}' end as document
    ) as kept
    where kept.document - '{{incremental_stats,snapshot_source,etl_job}}'::text[]
        <> new.metrics_json - '{{incremental_stats,snapshot_source,etl_job}}'::text[]
        -- What is new in another window says nothing of this one.
        or (
            (new.metrics_json #>> '{{incremental_stats,window_start}}')::timestamptz = written.window_start
            and new.metrics_json -> 'incremental_stats' is distinct from kept.document -> 'incremental_stats'
        )
    union
    select written.snapshot_timestamp, written.window_start
    from unnest(%(consumers)s::uuid[]) as chosen (consumer_id)
    cross join consumer_analytics_internal.written_snapshots as written
    join public.consumer_analytics as old
        on old.consumer_id = chosen.consumer_id and old.snapshot_timestamp = written.snapshot_timestamp
    where written.snapshot_timestamp = any(%(snapshots)s::timestamptz[])
        and (written.is_whole or written.snapshot_timestamp <= %(known)s::timestamptz)
        and not exists (
            select from rendered_snapshots as new
            where new.consumer_id = old.consumer_id and new.snapshot_timestamp = old.snapshot_timestamp
        )
)

select snapshot_timestamp, window_start
from outgrown
order by snapshot_timestamp
