-- The snapshots that a change is between: the system's last ones at or before a range's end, at or
-- before its beginning, and as long a time before that.
with ends as (
    select
        (
            select max(snapshot_timestamp)
            from public.consumer_analytics
            where consumer_id is null and snapshot_timestamp <= %(until)s
        ) as at,
        (
            select max(snapshot_timestamp)
            from public.consumer_analytics
            where consumer_id is null and snapshot_timestamp <= %(since)s
        ) as before
)

select
    at,
    before,
    (
        select max(snapshot_timestamp)
        from public.consumer_analytics
        where consumer_id is null and snapshot_timestamp <= ends.before - (ends.at - ends.before)
    )
from ends
