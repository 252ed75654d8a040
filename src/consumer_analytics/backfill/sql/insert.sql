-- Snapshots of a range in which there are none yet, in the unique index's order:
-- that of `figures`, which the rendering keeps. Of chosen consumers' rows each says
-- itself of which window it is, as there is none of the whole system.
with inserted as (
    insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
    {rendered}
    returning
        consumer_id,
        snapshot_timestamp,
        case
            when consumer_id is null or {alone} then metrics_json #>> '{{incremental_stats,window_start}}'
        end as window_start,
        case when consumer_id is null or {alone} then metrics_json ->> 'snapshot_source' end as snapshot_source,
        {figures_digest} as digest,
        case when consumer_id is null then {whole_digest} end as whole_digest
),

noted as (
    {note_written}
),

apart as (
    select *
    from inserted
    where {alone}
),

noted_apart as (
    {note_apart}
)

select count(*)
from inserted
