-- Days up to one of which the source table has rows, and that are not the archive's yet. The
-- calendar's first day stands for all time before it, and is never archived.
select distinct created_at::timestamptz::date
from {customer_events} as own
where created_at >= greatest(
    (select first_day from consumer_analytics_internal.archive), '0001-01-02'
)::timestamptz
    and created_at < (%(through)s::date + 1)::timestamptz
order by 1
