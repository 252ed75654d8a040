-- Notes that nobody of ours makes: somebody has moved them. A window that does not begin before its
-- instant is none: of rows that stand apart that note goes, a whole snapshot's begins at the one before. Where
-- rows stand apart and nothing else is noted of the instant, the note is taken at its word: what it
-- tells of is put back.
with impossible as (
    delete from consumer_analytics_internal.written_apart
    where snapshot_timestamp = any(%(instants)s::timestamptz[]) and window_start >= snapshot_timestamp
),

windows as (
    update consumer_analytics_internal.written_snapshots as written
    set window_start = coalesce(
        (
            select max(earlier.snapshot_timestamp)
            from consumer_analytics_internal.written_snapshots as earlier
            where earlier.is_whole and earlier.snapshot_timestamp < written.snapshot_timestamp
        ),
        case when written.snapshot_timestamp > 'epoch' then 'epoch'::timestamptz else '-infinity' end
    )
    where snapshot_timestamp = any(%(instants)s::timestamptz[]) and is_whole and window_start >= snapshot_timestamp
)

insert into consumer_analytics_internal.written_snapshots (snapshot_timestamp, is_whole)
select distinct snapshot_timestamp, false
from consumer_analytics_internal.written_apart
where snapshot_timestamp = any(%(instants)s::timestamptz[]) and window_start < snapshot_timestamp
on conflict do nothing
