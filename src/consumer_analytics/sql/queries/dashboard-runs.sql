-- The runs opened in a range, or those of them that failed, the newest first.
select
    run_key,
    snapshot_source,
    state,
    requested_at,
    reached_at,
    opened_at,
    finished_at,
    held_back_by,
    summary
from consumer_analytics_internal.runs
where opened_at between %(since)s and %(until)s
    and {which}
order by opened_at desc
limit %(limit)s
