-- Days of the archive's of which the table has rows, and not just those of the files.
select own.day
from (
    select day, count(*) as n, sum(digest) as digest
    from (
        select
            created_at::timestamptz::date as day,
            ('x' || left(
                md5(convert_to(
                    event_id::text
                    || coalesce(chr(31) || customer_id::text, chr(30))
                    || coalesce(chr(31) || consumer_id::text, chr(30))
                    || coalesce(chr(31) || event_type::text, chr(30))
                    || coalesce(chr(31) || payload_json::text, chr(30))
                    || chr(31) || (extract(epoch from created_at::timestamptz) * 1000000)::bigint::text,
                    'UTF8'
                )),
                15
            ))::bit(60)::bigint as digest
        from {customer_events} as own
        where created_at >= '0001-01-02'::timestamptz
            and created_at < (select first_day from consumer_analytics_internal.archive)::timestamptz
    ) as rows
    group by day
) as own
left join audit_filed_days as files using (day)
where own.n is distinct from files.n or own.digest is distinct from files.digest
order by own.day
