-- Days of writers that have ended are counted again by the next run; those who
-- are still open, and wrote before the threshold was published, are remembered.
with ended as (
    delete from consumer_analytics_internal.capture_unsure
    where writer <> all(%(writers)s::text[])
    returning first_day, last_day
),

touched as (
    insert into consumer_analytics_internal.touched_days (day)
    select distinct case when first_day = '-infinity' then first_day else day::date end
    from ended
    cross join lateral generate_series(
        case when first_day = '-infinity' then last_day else first_day end::timestamp,
        last_day::timestamp,
        '1 day'
    ) as day
)

insert into consumer_analytics_internal.capture_unsure (writer, first_day, last_day)
select writer, %(first)s::date, %(last)s::date
from unnest(%(writers)s::text[]) as open (writer)
where %(first)s::date is not null
