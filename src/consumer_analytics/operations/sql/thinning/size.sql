-- What thinning these instants would remove.
select
    (
        select count(*) from public.consumer_analytics
        where snapshot_timestamp = any(%(instants)s::timestamptz[])
    ),
    (
        select count(*) from public.consumer_analytics_revisions
        where snapshot_timestamp = any(%(instants)s::timestamptz[])
    ),
    coalesce(
        (
            select sum(pg_column_size(snapshot.*)) from public.consumer_analytics as snapshot
            where snapshot_timestamp = any(%(instants)s::timestamptz[])
        ),
        0
    )::bigint + coalesce(
        (
            select sum(pg_column_size(revision.*)) from public.consumer_analytics_revisions as revision
            where snapshot_timestamp = any(%(instants)s::timestamptz[])
        ),
        0
    )::bigint
