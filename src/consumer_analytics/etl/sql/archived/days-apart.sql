-- Days of the archive's of which the source table has rows, and not just those of the files: as a
-- datemultirange. The calendar's first day stands for all time before it, and is never archived.
select range_agg(daterange(own.day, own.day, '[]'))::text
from (
    select day, count(*) as n, sum(digest) as digest
    from (
        select created_at::timestamptz::date as day, {row_digest} as digest
        from {customer_events} as own
        where created_at >= greatest(lower(%(days)s::datemultirange), '0001-01-02')::timestamptz
            and created_at < least(upper(%(days)s::datemultirange), %(first_day)s::date)::timestamptz
    ) as rows
    where day <@ %(days)s::datemultirange
    group by day
) as own
left join (
    select day, sum(rows) as n, sum(digest) as digest
    from consumer_analytics_internal.archived_files
    where archived_files.day <@ %(days)s::datemultirange
    group by day
) as files using (day)
where own.n is distinct from files.n or own.digest is distinct from files.digest
