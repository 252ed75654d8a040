-- Mails that have not gone out: how many, since when, and why the latest try failed.
select
    count(*),
    min(created_at),
    (
        select last_error
        from consumer_analytics_internal.mails
        where sent_at is null and last_error is not null
        order by next_try_at desc
        limit 1
    )
from consumer_analytics_internal.mails
where sent_at is null
