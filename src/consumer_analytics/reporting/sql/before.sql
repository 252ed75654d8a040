-- The system's last snapshot before a consumer's first one.
select max(snapshot_timestamp)
from public.consumer_analytics
where consumer_id is null
    and snapshot_timestamp < (
        select min(snapshot_timestamp)
        from public.consumer_analytics
        where consumer_id = %(consumer)s
    )
