-- Insert the snapshots of instants at which there are none, in the order of the unique index,
-- note that they are written, and tell how many there were to insert. A consumer's row can be
-- there all the same: one that was backfilled by itself.
with rendered as materialized (
    {rendered}
),

inserted as (
    insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
    select consumer_id, snapshot_timestamp, metrics_json
    from rendered
    order by consumer_id, snapshot_timestamp
    on conflict do nothing
    returning
        consumer_id,
        snapshot_timestamp,
        case
            when consumer_id is null then metrics_json #>> '{{incremental_stats,window_start}}'
        end as window_start,
        case when consumer_id is null then metrics_json ->> 'snapshot_source' end as snapshot_source,
        {figures_digest} as digest,
        case when consumer_id is null then {whole_digest} end as whole_digest
),

noted as (
    {note_written}
)

select
    (select count(*) from rendered) as rows,
    (select count(*) from inserted) as inserted,
    ({unknown_consumers}) as unknown_consumers
