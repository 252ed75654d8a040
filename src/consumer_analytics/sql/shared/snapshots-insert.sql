-- Snapshots that are not there yet, in the order of the unique index. A row that
-- joins a snapshot later has the snapshot's provenance.
with there as materialized (
    select snapshot_timestamp, metrics_json
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp in (select distinct snapshot_timestamp from rendered_snapshots)
)

insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
select
    new.consumer_id,
    new.snapshot_timestamp,
    case
        when there.metrics_json ? 'snapshot_source'
            then new.metrics_json || jsonb_build_object(
                'snapshot_source', there.metrics_json -> 'snapshot_source',
                'etl_job', coalesce(there.metrics_json -> 'etl_job', new.metrics_json -> 'etl_job')
            )
        else new.metrics_json
    end
from rendered_snapshots as new
left join there using (snapshot_timestamp)
-- A snapshot is there with its global row; then its rows are looked up, one by one.
where there.snapshot_timestamp is null
    or (
        new.consumer_id is not null
        and not exists (
            select from public.consumer_analytics as old
            where old.consumer_id = new.consumer_id and old.snapshot_timestamp = new.snapshot_timestamp
        )
    )
order by new.consumer_id, new.snapshot_timestamp
on conflict do nothing
