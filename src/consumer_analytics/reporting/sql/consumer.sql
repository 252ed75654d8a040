-- Who a consumer is: a row where it is registered or has any snapshot.
select
    known.name::text,
    known.status::text,
    known.created_at::timestamptz,
    known.consumer_id is not null
from (select %(consumer)s::uuid as consumer_id) as wanted
left join {consumers} as known using (consumer_id)
where known.consumer_id is not null
    or exists (
        select
        from public.consumer_analytics as snapshot
        where snapshot.consumer_id = wanted.consumer_id
    )
