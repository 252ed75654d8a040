-- Snapshots that are there but whose figures have changed: keep what was
-- reported, then say what is true. Rows whose figures stand are not touched.
with paired as (
    select old.analytics_id, old.metrics_json as reported, new.metrics_json as true_now
    from rendered_snapshots as new
    join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
    union all
    select old.analytics_id, old.metrics_json as reported, new.metrics_json as true_now
    from rendered_snapshots as new
    join public.consumer_analytics as old
        on old.consumer_id is null and old.snapshot_timestamp = new.snapshot_timestamp
    where new.consumer_id is null
),

changed as (
    select *
    from paired
    where reported - '{{incremental_stats,snapshot_source,etl_job}}'::text[]
        <> true_now - '{{incremental_stats,snapshot_source,etl_job}}'::text[]
        -- What is new in a window can be compared where it is the same window.
        or (
            true_now #> '{{incremental_stats,window_start}}' = reported #> '{{incremental_stats,window_start}}'
            and true_now -> 'incremental_stats' <> reported -> 'incremental_stats'
        )
),

kept as (
    {keep_reported}
    from changed
    join public.consumer_analytics as old using (analytics_id)
)

update public.consumer_analytics as snapshot
set metrics_json = true_now || jsonb_build_object(
    'snapshot_source', coalesce(reported -> 'snapshot_source', true_now -> 'snapshot_source'),
    'etl_job', coalesce(reported -> 'etl_job', true_now -> 'etl_job'),
    -- The window stays the one of the run that wrote the snapshot.
    'incremental_stats', case
        when true_now #> '{{incremental_stats,window_start}}' <> reported #> '{{incremental_stats,window_start}}'
            then reported -> 'incremental_stats'
        else true_now -> 'incremental_stats'
    end
)
from changed
where snapshot.analytics_id = changed.analytics_id
