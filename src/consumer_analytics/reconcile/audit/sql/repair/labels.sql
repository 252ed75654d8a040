-- Rows that say another window or provenance than they were written with say the right one again.
-- No figure changes by it, so nothing is kept of it: nobody of ours has ever reported that.
with noted as materialized (
    select
        whole.snapshot_timestamp,
        apart.consumers,
        coalesce(apart.window_start, whole.window_start) as window_start,
        coalesce(apart.snapshot_source, whole.snapshot_source) as snapshot_source
    from consumer_analytics_internal.written_snapshots as whole
    left join consumer_analytics_internal.written_apart as apart using (snapshot_timestamp)
    where whole.snapshot_timestamp = any(%(instants)s::timestamptz[])
    union all
    select snapshot_timestamp, null, window_start, snapshot_source
    from consumer_analytics_internal.written_snapshots
    where is_whole and snapshot_timestamp = any(%(instants)s::timestamptz[])
),

labels as materialized (
    select distinct on (snapshot.analytics_id)
        snapshot.analytics_id,
        jsonb_build_object('snapshot_source', noted.snapshot_source, 'etl_job', {job}::text) as provenance,
        jsonb_build_object(
            'window_start', noted.window_start, 'window_end', noted.snapshot_timestamp
        ) as window_keys
    from public.consumer_analytics as snapshot
    join noted
        on noted.snapshot_timestamp = snapshot.snapshot_timestamp
            and (noted.consumers is null or snapshot.consumer_id = any(noted.consumers))
    where snapshot.snapshot_timestamp = any(%(instants)s::timestamptz[])
        and noted.window_start is not null
        and jsonb_typeof(snapshot.metrics_json) = 'object'
    order by snapshot.analytics_id, noted.consumers is null
)

update public.consumer_analytics as snapshot
set metrics_json = corrected
from (
    select
        analytics_id,
        metrics_json || provenance || jsonb_build_object(
            'incremental_stats',
            coalesce(
                (
                    select jsonb_object_agg(said.key, said.value)
                    from jsonb_each(
                        case
                            when jsonb_typeof(metrics_json -> 'incremental_stats') = 'object'
                                then metrics_json -> 'incremental_stats'
                        end
                    ) as said
                    -- What has no place there goes.
                    where said.key in ('new_customers_in_window', 'new_events_in_window')
                ),
                '{{}}'
            ) || window_keys
        ) as corrected
    from labels
    join public.consumer_analytics using (analytics_id)
) as right_now
where right_now.analytics_id = snapshot.analytics_id and corrected <> metrics_json
