-- The next run counts these days again; the day -infinity stands for all.
insert into consumer_analytics_internal.touched_days (day)
select distinct day
from (
    select case when %(first)s::date = '-infinity' then '-infinity'::date else day::date end as day
    from generate_series(
        case when %(first)s::date = '-infinity' then %(last)s::date else %(first)s::date end::timestamp,
        %(last)s::date::timestamp,
        '1 day'
    ) as day
) as days
