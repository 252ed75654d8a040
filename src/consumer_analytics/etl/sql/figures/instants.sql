-- The instants of the slots {first} to {last}, and what all snapshots of one
-- have in common.
select
    slot,
    at,
    extract(epoch from at) * 1000000 as at_us,
    concat('{{"etl_job":', to_json({job}::text)) as provenance_json,
    concat(',"snapshot_source":', to_json(%(snapshot_source)s::text)) as source_json,
    concat(
        ',"incremental_stats":{{"window_end":', to_json(at), ',"window_start":', to_json(window_start)
    ) as window_json
from (
    select
        slot,
        (%(bounds)s::timestamptz[])[slot] as window_start,
        (%(bounds)s::timestamptz[])[slot + 1] as at
    from generate_series({first}, {last}) as slot
) as slots
