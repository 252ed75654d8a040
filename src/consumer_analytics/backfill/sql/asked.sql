-- Notes of chosen consumers, where no whole snapshot is, that they were asked for: whether that is
-- told here, of whoever has no row as well, is what other databases' rows of them wait for.
with asked as materialized (
    select at, window_start, consumer_id
    from unnest(%(instants)s::timestamptz[], %(starts)s::timestamptz[]) as given (at, window_start)
    cross join unnest(%(consumers)s::uuid[]) as one (consumer_id)
    where not exists (
        select
        from consumer_analytics_internal.written_snapshots as written
        where written.snapshot_timestamp = at and written.is_whole
    )
        and not exists (
            select
            from consumer_analytics_internal.written_apart as apart
            where apart.snapshot_timestamp = at and consumer_id = any(apart.consumers)
        )
),

written as (
    insert into consumer_analytics_internal.written_snapshots (snapshot_timestamp, is_whole)
    select distinct at, false
    from asked
    order by at
    on conflict do nothing
),

apart as (
    select consumer_id, at as snapshot_timestamp, window_start, %(source)s::text as snapshot_source
    from asked
)

{note_apart}
