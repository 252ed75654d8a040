-- Whole snapshots to which rows of chosen consumers are added here, or that will say something else of
-- them: when, and where the window begins. The whole system's row has to be summed again there.
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
group by new.snapshot_timestamp, written.window_start
order by new.snapshot_timestamp
