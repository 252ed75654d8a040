-- Snapshots that are not there yet, in the order of the unique index. A row that
-- joins a snapshot later has the snapshot's provenance, as it was noted. Answers how many.
with there as materialized (
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp in (select distinct snapshot_timestamp from rendered_snapshots)
),

known as materialized (
    select snapshot_timestamp, window_start, snapshot_source
    from consumer_analytics_internal.written_snapshots
    where is_whole
        and snapshot_timestamp in (select distinct snapshot_timestamp from rendered_snapshots)
),

inserted as (
    insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
    select
        new.consumer_id,
        new.snapshot_timestamp,
        case
            when known.snapshot_source is not null
                then new.metrics_json || jsonb_build_object('snapshot_source', known.snapshot_source)
            else new.metrics_json
        end
    from rendered_snapshots as new
    left join there using (snapshot_timestamp)
    left join known using (snapshot_timestamp)
    -- A snapshot is there with its global row; then its rows are looked up, one by one.
    where there.snapshot_timestamp is null
        or (
            new.consumer_id is not null
            and not exists (
                select from public.consumer_analytics as old
                where old.consumer_id = new.consumer_id and old.snapshot_timestamp = new.snapshot_timestamp
                offset 0
            )
        )
    order by new.consumer_id, new.snapshot_timestamp
    on conflict do nothing
    returning
        consumer_id,
        snapshot_timestamp,
        metrics_json #>> '{{incremental_stats,window_start}}' as window_start,
        metrics_json ->> 'snapshot_source' as snapshot_source,
        {figures_digest} as digest,
        case when consumer_id is null then {whole_digest} end as whole_digest
),

noted as (
    {note_written}
),

-- A row whose window is not the one of the whole system's row, or that has none beside it.
apart as (
    select one.*
    from inserted as one
    left join known using (snapshot_timestamp)
    left join inserted as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = one.snapshot_timestamp
    where one.consumer_id is not null
        and (one.window_start::timestamptz, one.snapshot_source) is distinct from (
            coalesce(known.window_start, whole.window_start::timestamptz),
            coalesce(known.snapshot_source, whole.snapshot_source)
        )
),

noted_apart as (
    {note_apart}
)

select count(*)
from inserted
