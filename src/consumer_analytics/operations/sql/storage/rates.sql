-- What the kinds grow by: rows of the latest snapshot, and, a day, over the trailing
-- days that there are: revisions, counts and events. Bytes of a row are the table's
-- own, with its indexes, once it has enough rows to tell.
with latest as (
    select max(snapshot_timestamp) as at
    from public.consumer_analytics
    where consumer_id is null
),

counted as (
    select
        count(*) as cells,
        coalesce(sum(n), 0) as events,
        greatest(max(day) - min(day) + 1, 1) as days
    from consumer_analytics_internal.event_days
    where day > (select max(day) from consumer_analytics_internal.event_days) - %(days)s::int
),

weights as (
    select
        name,
        pg_total_relation_size(oid)::float8 / nullif(greatest(reltuples, 0), 0) as bytes_of_row,
        reltuples
    from (
        values
            ('snapshots', 'public.consumer_analytics'::regclass),
            ('revisions', 'public.consumer_analytics_revisions'::regclass),
            ('counts', 'consumer_analytics_internal.event_days'::regclass),
            ('events', to_regclass(%(events)s))
    ) as known (name, table_oid)
    join pg_class on pg_class.oid = known.table_oid
)

select
    (
        select count(*) from public.consumer_analytics
        where snapshot_timestamp = (select at from latest)
    ),
    (
        select count(*)::float8 / %(days)s from public.consumer_analytics_revisions
        where reported_until > now() - %(days)s * interval '1 day'
    ),
    counted.cells::float8 / counted.days,
    counted.events::float8 / counted.days,
    (
        select jsonb_object_agg(name, bytes_of_row)
        from weights
        where reltuples > 1000
    )
from counted
